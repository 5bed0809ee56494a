// Icons as elements, drawn with the colour of the text around them.

import type { ComponentChildren } from "preact";

function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

export const PlusIcon = () => (
  <Icon>
    <path d="M10 4v12M4 10h12" />
  </Icon>
);

export const SmileIcon = () => (
  <Icon>
    <circle cx="10" cy="10" r="7" />
    <path d="M7 12c1.5 2 4.500 2 6 0M7.500 8h.01M12.500 8h.01" />
  </Icon>
);

export const ReplyIcon = () => (
  <Icon>
    <path d="M8 5 3 10l5 5M3 10h9a5 5 0 0 1 5 5" />
  </Icon>
);

export const PinIcon = () => (
  <Icon>
    <path d="M7 3h6M8 3v5l-3 3h10l-3-3V3M10 11v6" />
  </Icon>
);

export const LinkIcon = () => (
  <Icon>
    <path d="M8 12l4-4M7 9l-2 2a3 3 0 0 0 4 4l2-2M13 11l2-2a3 3 0 0 0-4-4L9 7" />
  </Icon>
);

export const HistoryIcon = () => (
  <Icon>
    <path d="M3.500 10a6.500 6.500 0 1 0 2-4.700M3 3v3.500h3.500M10 6.500V10l2.500 2" />
  </Icon>
);

export const EditIcon = () => (
  <Icon>
    <path d="m12.500 4.500 3 3L7 16l-4 1 1-4z" />
  </Icon>
);

export const TrashIcon = () => (
  <Icon>
    <path d="M4 6h12M8 6V4h4v2M6 6l.7 10h6.600L14 6" />
  </Icon>
);

export const InviteIcon = () => (
  <Icon>
    <circle cx="8" cy="7" r="3" />
    <path d="M2.5 16.5c.6-3 2.8-4.5 5.5-4.5s4.9 1.5 5.5 4.5M15.5 5v6M12.5 8h6" />
  </Icon>
);

export const PeopleIcon = () => (
  <Icon>
    <circle cx="7" cy="7" r="3" />
    <path d="M2 16c.5-2.8 2.5-4.2 5-4.2s4.5 1.4 5 4.2M13 4.5a3 3 0 0 1 0 5M15 12c1.8.7 2.8 2 3 4" />
  </Icon>
);

export const SearchIcon = () => (
  <Icon>
    <circle cx="9" cy="9" r="5" />
    <path d="m13 13 4 4" />
  </Icon>
);

export const BackIcon = () => (
  <Icon>
    <path d="m12 4-6 6 6 6" />
  </Icon>
);

export const DownIcon = () => (
  <Icon>
    <path d="M10 4v12m-5-5 5 5 5-5" />
  </Icon>
);

export const SendIcon = () => (
  <Icon>
    <path d="M10 16V4m-5 5 5-5 5 5" />
  </Icon>
);

export const LeaveIcon = () => (
  <Icon>
    <path d="M8 3.5H5A1.5 1.5 0 0 0 3.5 5v10A1.5 1.5 0 0 0 5 16.5h3M13 13.5l3.5-3.5L13 6.5M16 10H8" />
  </Icon>
);

export const CloseIcon = () => (
  <Icon>
    <path d="m5 5 10 10M15 5 5 15" />
  </Icon>
);

export const WarningIcon = () => (
  <Icon>
    <path d="M10 3.5 2.5 16.5h15L10 3.5ZM10 8.5v3.5M10 14.4v.1" />
  </Icon>
);

export const CheckIcon = () => (
  <Icon>
    <path d="m4 10.5 4 4 8-9" />
  </Icon>
);

export const RetryIcon = () => (
  <Icon>
    <path d="M16 10a6 6 0 1 1-1.8-4.3M16 3v3.5h-3.5" />
  </Icon>
);

/** Three voices that agree: the mark of the page. The same drawing is public/favicon.svg. */
export const Logo = () => (
  <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
    <path
      class="logo-bubble"
      d="M8 3h16a6 6 0 0 1 6 6v9a6 6 0 0 1-6 6h-7.5L9.6 29.2A1 1 0 0 1 8 28.4V24a6 6 0 0 1-6-6V9a6 6 0 0 1 6-6Z"
    />
    <circle class="logo-dot" cx="10" cy="13.5" r="2.4" />
    <circle class="logo-dot" cx="16" cy="13.5" r="2.4" />
    <circle class="logo-dot logo-dot-faint" cx="22" cy="13.5" r="2.4" />
  </svg>
);

export const CopyIcon = () => (
  <Icon>
    <rect x="7" y="7" width="9" height="9" rx="2" />
    <path d="M4 13V6a2 2 0 0 1 2-2h7" />
  </Icon>
);

export const BrowseIcon = () => (
  <Icon>
    <path d="M4 5.5h12M4 10h12M4 14.5h7" />
  </Icon>
);

export const HelpIcon = () => (
  <Icon>
    <circle cx="10" cy="10" r="7" />
    <path d="M7.8 8.2a2.2 2.2 0 1 1 3.2 2c-.7.4-1 .8-1 1.5M10 14v.1" />
  </Icon>
);
