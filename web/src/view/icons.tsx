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
