// English: the table whose shape every other language must have.

import type { ErrorCode } from "../generated/frames.ts";

const NUMBERS = ["none", "one", "two", "three", "four"];

function many(count: number, one: string, more: string): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : more}`;
}

const errors: Record<ErrorCode, string> = {
  bad_request: "The gateway did not accept this.",
  unauthenticated: "The session has ended.",
  forbidden_origin: "This page may not do that here.",
  forbidden: "You may not do that.",
  not_found: "This room does not exist.",
  not_member: "You are not in this room.",
  name_taken: "This name is taken.",
  too_large: "This is too long.",
  rate_limited: "Too fast. Wait a moment.",
  no_quorum: "No quorum at the moment. Try again when the replicas are back.",
  overloaded: "The cluster is busy. Try again in a moment.",
  behind: "This gateway is behind. Try again in a moment.",
  no_space: "The replicas' disks are full.",
  internal: "The gateway cannot be reached. Try again in a moment.",
};

export const en = {
  language: "English",
  errors,
  signUp: {
    title: "Choose a name",
    lead: "Team chat that loses nothing when a machine dies.",
    name: "Name",
    hint: "1 to 32 characters. Others see it beside your messages.",
    refused: "This name is not allowed: 1 to 32 characters, all of them visible.",
    submit: "Start chatting",
    busy: "One moment…",
    ended: "Your session has ended. Choose a name to go on.",
  },
  signOut: {
    open: "Sign out",
    title: "Sign out?",
    text: "There are no passwords yet: this name cannot be used again afterwards.",
    waiting: (count: number) =>
      `${many(count, "message", "messages")} not yet sent will be deleted from this device.`,
    confirm: "Sign out",
  },
  cancel: "Cancel",
  close: "Close",
  back: "Back to the rooms",
  rooms: {
    title: "Rooms",
    create: "New room",
    browse: "Browse rooms",
    leave: "Leave room",
    unread: "unread",
    none: "No rooms yet",
    noneText: "Create the first one, or look which rooms there are.",
    choose: "Choose a room",
    members: (count: number) => many(count, "member", "members"),
  },
  newRoom: {
    title: "New room",
    name: "Name of the room",
    hint: "Letters, digits, - and _, without spaces. At most 64 characters.",
    refused: "This name is not allowed: only letters, digits, - and _.",
    submit: "Create",
    busy: "Creating…",
  },
  browse: {
    title: "Browse rooms",
    find: "Find a room",
    join: "Join",
    open: "Open",
    loading: "Loading…",
    none: "No room with this name.",
    joinRoom: (name: string) => `Join ${name}`,
    openRoom: (name: string) => `Open ${name}`,
  },
  composer: {
    label: (room: string) => `Message to ${room}`,
    placeholder: (room: string) => `Message #${room}`,
    send: "Send",
    hint: "Enter sends · Shift+Enter breaks the line",
    tooLong: (bytes: number, max: number) =>
      `Too long: ${bytes.toLocaleString("en")} of ${max.toLocaleString("en")} bytes.`,
    notStored: "This device could not store the message. It was not sent.",
  },
  timeline: {
    log: (room: string) => `Messages in ${room}`,
    today: "Today",
    yesterday: "Yesterday",
    new: "New",
    beginning: (room: string) => `This is the beginning of #${room}.`,
    gap: (count: number) => `${many(count, "message", "messages")} not loaded`,
    loading: "Loading…",
    gapFailed: "Could not be loaded. Try again",
    latest: "Jump to latest",
    latestUnread: (count: number) => many(count, "new message", "new messages"),
    created: (name: string) => `${name} created the room`,
    joined: (name: string) => `${name} joined`,
    left: (name: string) => `${name} left`,
    quiet: "What happens to the replicas is told here, by the log itself. Nobody writes here.",
    nothing: "Nothing has happened yet.",
    you: "you",
  },
  notices: {
    elected: (node: string, ballot: string, gap: string | undefined) =>
      `${node} leads (ballot ${ballot})${gap === undefined ? "" : `, ${gap} without a leader`}`,
    silent: (node: string, time: string) => `${node} has been silent for ${time}`,
    heard: (node: string, time: string | undefined) =>
      `${node} is heard again${time === undefined ? "" : `, after ${time}`}`,
    replaced: (added: string, removed: string) => `${added} votes in place of ${removed}`,
    added: (nodes: string) => `${nodes} votes now`,
    removed: (nodes: string) => `${nodes} votes no more`,
    unchanged: "The voters stay as they are",
    voters: (change: string, epoch: number, voters: string) =>
      `${change} (epoch ${epoch}: ${voters})`,
  },
  states: {
    queued: "Queued on this device",
    proposed: "Proposed to the replicas",
    chosen: "Chosen by a quorum",
    applied: "Applied",
    failed: "Not sent",
  },
  failed: {
    retry: "Retry",
    copy: "Copy",
    copied: "Copied",
    dismiss: "Delete",
  },
  banner: {
    reconnecting: "Reconnecting…",
    noQuorum: (down: number, voters: number) =>
      `No quorum: ${down} of ${voters} replicas are down.`,
    noAnswer: "No quorum: the replicas do not answer.",
    waiting: (count: number) =>
      count === 0
        ? "What you write waits on this device."
        : `${many(count, "message waits", "messages wait")} on this device.`,
    back: (missed: number) =>
      missed === 0
        ? "You are back, nothing was missed."
        : `You are back, caught up ${many(missed, "message", "messages")}.`,
    stopped: (reason: string) => `The connection was ended: ${reason}.`,
    reload: "Reload",
  },
  cluster: {
    title: "Cluster",
    unknown: "Cluster state unknown",
    noQuorum: "no quorum",
    summary: (up: number, voters: number, spare: number) =>
      `${up} of ${voters} replicas · ${spare < 0 ? "no quorum" : `${NUMBERS[spare] ?? spare} may fail`}`,
    gateway: "Gateway",
    membership: "Membership",
    answers: "answers",
    absent: "does not answer",
    replica: "Replica",
    role: "Role",
    ballot: "Ballot",
    decided: "Chosen",
    applied: "Applied",
    lag: "Lag",
    suspected: "suspected",
    roles: {
      leader: "leader",
      follower: "follower",
      candidate: "candidate",
      unreachable: "unreachable",
    },
    epoch: "Epoch",
    open: "Show the cluster",
    meaningWell: (majority: number, voters: number) =>
      `A message counts as sent when ${majority} of ${voters} replicas have it on disk, so it stays if a machine is lost.`,
    meaningLast:
      "All goes on, but if one more fails nothing can be sent until it is back. Nothing is lost.",
    meaningNone: (majority: number) =>
      `It takes ${majority} replicas to agree. Until they are back, what you write waits on this device.`,
    uptime: (time: string) => `up ${time}`,
    log: (size: string) => `log ${size}`,
    disk: (time: string) => `disk ${time}`,
    timeline: "What happened",
    allNotices: (room: string) => `All of it in #${room}`,
    latency: {
      title: "Time to commit",
      none: "Send a message to see how long it takes until a majority has it.",
      figures: (p50: string, p99: string, count: number) =>
        `Half of your last ${many(count, "message", "messages")} within ${p50}, 99 % within ${p99}.`,
    },
  },
  body: {
    more: "Show all of it",
    less: "Show less",
    copyCode: "Copy",
    code: (language: string | undefined) =>
      language === undefined ? "Code" : `Code: ${language}`,
    table: "Table",
    done: "done",
    open: "to do",
  },
  completion: {
    label: "Suggestions",
    everybody: "everybody in this room",
    offered: (count: number, first: string) =>
      `${many(count, "suggestion", "suggestions")}: ${first}`,
  },
  palette: {
    open: "Go to…",
    title: "Go to",
    field: "Room, person or command",
    none: "Nothing has this name.",
    room: "room",
    mention: "mention",
    command: "command",
    markAllRead: "Mark all rooms as read",
  },
  help: {
    title: "Help and keys",
    keysTitle: "Keys",
    writing: "Writing",
    keys: {
      palette: "Ctrl K",
      rooms: "Alt ↑ ↓",
      unread: "Alt Shift ↑ ↓",
      read: "Esc",
      messages: "↑ ↓",
      xray: "X",
      regions: "F6",
      cluster: "Ctrl .",
      help: "Ctrl /",
      newline: "Shift Enter",
    },
    meaning: {
      palette: "Go to a room, a person or a command",
      rooms: "Previous, next room",
      unread: "Previous, next unread room",
      read: "Mark the room as read, go to its end",
      messages: "In the history: previous, next message",
      xray: "On a message: behind it",
      regions: "Next part of the page",
      cluster: "The cluster",
      help: "This help",
      newline: "A new line in a message",
    },
    notation: {
      bold: "bold",
      italic: "slanted",
      strike: "struck out",
      code: "code in a line",
      block: "code in lines of its own",
      quote: "a quotation",
      list: "a list",
      link: "a link",
      names: "people, rooms, emoji: a list appears",
    },
  },
  xray: {
    open: "Behind this message",
    title: "Behind this message",
    lead: "Its way through the replicated log.",
    place: "Place",
    placeText: (slot: string, seq: string) => `slot ${slot} of the log, event ${seq} of the room`,
    when: "Leader's clock",
    proposed: "Proposed",
    chosen: "Chosen by a quorum",
    applied: "Applied and acknowledged",
    after: (time: string) => `${time} after it was sent`,
    appliedBy: "Applied by",
    notYet: "Not known of",
    unknown: "unknown at the moment",
    id: "Its id",
    notMeasured: "Times are known only of messages that this page sent since it was opened.",
  },
  regions: { rooms: "Rooms", account: "Account", room: "Room" },
  languages: "Language",
};

export type Words = typeof en;
