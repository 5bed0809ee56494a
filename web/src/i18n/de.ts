// German.

import type { Words } from "./en.ts";

const NUMBERS = ["keines", "eines", "zwei", "drei", "vier"];

function many(count: number, one: string, more: string): string {
  return `${count.toLocaleString("de")} ${count === 1 ? one : more}`;
}

export const de: Words = {
  language: "Deutsch",
  errors: {
    bad_request: "Das Gateway hat dies nicht angenommen.",
    unauthenticated: "Die Sitzung ist beendet.",
    forbidden_origin: "Diese Seite darf das hier nicht.",
    forbidden: "Das ist nicht erlaubt.",
    not_found: "Diesen Raum gibt es nicht.",
    not_member: "Sie sind nicht in diesem Raum.",
    name_taken: "Dieser Name ist vergeben.",
    too_large: "Das ist zu lang.",
    rate_limited: "Zu schnell. Einen Augenblick bitte.",
    no_quorum: "Zurzeit kein Quorum. Bitte noch einmal, wenn die Replikate zurück sind.",
    overloaded: "Der Cluster ist ausgelastet. Bitte gleich noch einmal.",
    behind: "Dieses Gateway liegt zurück. Bitte gleich noch einmal.",
    no_space: "Die Platten der Replikate sind voll.",
    internal: "Das Gateway ist nicht erreichbar. Bitte gleich noch einmal.",
  },
  signUp: {
    title: "Wählen Sie einen Namen",
    lead: "Team-Chat, der nichts verliert, wenn eine Maschine stirbt.",
    name: "Name",
    hint: "1 bis 32 Zeichen. Andere sehen ihn neben Ihren Nachrichten.",
    refused: "Dieser Name ist nicht erlaubt: 1 bis 32 Zeichen, alle sichtbar.",
    submit: "Loslegen",
    busy: "Einen Augenblick…",
    ended: "Ihre Sitzung ist beendet. Wählen Sie einen Namen, um fortzufahren.",
  },
  signOut: {
    open: "Abmelden",
    title: "Abmelden?",
    text: "Es gibt noch keine Passwörter: Dieser Name lässt sich danach nicht mehr verwenden.",
    waiting: (count) =>
      `${many(count, "noch nicht gesendete Nachricht wird", "noch nicht gesendete Nachrichten werden")} auf diesem Gerät gelöscht.`,
    confirm: "Abmelden",
  },
  cancel: "Abbrechen",
  close: "Schließen",
  back: "Zurück zu den Räumen",
  rooms: {
    title: "Räume",
    create: "Neuer Raum",
    browse: "Räume durchsuchen",
    leave: "Raum verlassen",
    unread: "ungelesen",
    none: "Noch keine Räume",
    noneText: "Legen Sie den ersten an, oder sehen Sie nach, welche es gibt.",
    choose: "Wählen Sie einen Raum",
    members: (count) => many(count, "Mitglied", "Mitglieder"),
  },
  newRoom: {
    title: "Neuer Raum",
    name: "Name des Raums",
    hint: "Buchstaben, Ziffern, - und _, ohne Leerzeichen. Höchstens 64 Zeichen.",
    refused: "Dieser Name ist nicht erlaubt: nur Buchstaben, Ziffern, - und _.",
    submit: "Anlegen",
    busy: "Wird angelegt…",
  },
  browse: {
    title: "Räume durchsuchen",
    find: "Raum suchen",
    join: "Beitreten",
    open: "Öffnen",
    loading: "Wird geladen…",
    none: "Kein Raum mit diesem Namen.",
    joinRoom: (name) => `${name} beitreten`,
    openRoom: (name) => `${name} öffnen`,
  },
  composer: {
    label: (room) => `Nachricht an ${room}`,
    placeholder: (room) => `Nachricht an #${room}`,
    send: "Senden",
    hint: "Eingabe sendet · Umschalt+Eingabe bricht die Zeile um",
    tooLong: (bytes, max) =>
      `Zu lang: ${bytes.toLocaleString("de")} von ${max.toLocaleString("de")} Bytes.`,
    notStored: "Dieses Gerät konnte die Nachricht nicht speichern. Sie wurde nicht gesendet.",
  },
  timeline: {
    log: (room) => `Nachrichten in ${room}`,
    today: "Heute",
    yesterday: "Gestern",
    new: "Neu",
    beginning: (room) => `Hier beginnt #${room}.`,
    gap: (count) => `${many(count, "Nachricht", "Nachrichten")} nicht geladen`,
    loading: "Wird geladen…",
    gapFailed: "Ließ sich nicht laden. Noch einmal",
    latest: "Zum Ende springen",
    latestUnread: (count) => many(count, "neue Nachricht", "neue Nachrichten"),
    created: (name) => `${name} hat den Raum angelegt`,
    joined: (name) => `${name} ist beigetreten`,
    left: (name) => `${name} hat den Raum verlassen`,
    quiet: "Hier steht, was den Replikaten geschieht; das Log selbst sagt es. Niemand schreibt hier.",
    nothing: "Noch ist nichts geschehen.",
    you: "Sie",
  },
  notices: {
    elected: (node, ballot, gap) =>
      `${node} führt (Ballot ${ballot})${gap === undefined ? "" : `, ${gap} ohne Leader`}`,
    silent: (node, time) => `${node} schweigt seit ${time}`,
    heard: (node, time) => `${node} ist wieder zu hören${time === undefined ? "" : `, nach ${time}`}`,
    replaced: (added, removed) => `${added} stimmt ab an Stelle von ${removed}`,
    added: (nodes) => `${nodes} stimmt nun ab`,
    removed: (nodes) => `${nodes} stimmt nicht mehr ab`,
    unchanged: "Wer abstimmt, bleibt gleich",
    voters: (change, epoch, voters) => `${change} (Epoche ${epoch}: ${voters})`,
  },
  states: {
    queued: "Wartet auf diesem Gerät",
    proposed: "Den Replikaten vorgeschlagen",
    chosen: "Von einem Quorum gewählt",
    applied: "Angewandt",
    failed: "Nicht gesendet",
  },
  failed: {
    retry: "Noch einmal",
    copy: "Kopieren",
    copied: "Kopiert",
    dismiss: "Löschen",
  },
  banner: {
    reconnecting: "Verbindung wird wiederhergestellt…",
    noQuorum: (down, voters) => `Kein Quorum: ${down} von ${voters} Replikaten sind ausgefallen.`,
    noAnswer: "Kein Quorum: Die Replikate antworten nicht.",
    waiting: (count) =>
      count === 0
        ? "Was Sie schreiben, wartet auf diesem Gerät."
        : `${many(count, "Nachricht wartet", "Nachrichten warten")} auf diesem Gerät.`,
    back: (missed) =>
      missed === 0
        ? "Sie sind zurück und haben nichts verpasst."
        : `Sie sind zurück, ${many(missed, "Nachricht", "Nachrichten")} nachgeholt.`,
    stopped: (reason) => `Die Verbindung wurde beendet: ${reason}.`,
    reload: "Neu laden",
  },
  cluster: {
    title: "Cluster",
    unknown: "Zustand des Clusters unbekannt",
    noQuorum: "kein Quorum",
    summary: (up, voters, spare) =>
      `${up} von ${voters} Replikaten · ${
        spare < 0
          ? "kein Quorum"
          : `${NUMBERS[spare] ?? spare} ${spare > 1 ? "dürfen" : "darf"} ausfallen`
      }`,
    gateway: "Gateway",
    membership: "Mitgliederdienst",
    answers: "antwortet",
    absent: "antwortet nicht",
    replica: "Replikat",
    role: "Rolle",
    ballot: "Ballot",
    decided: "Gewählt",
    applied: "Angewandt",
    lag: "Rückstand",
    suspected: "verdächtigt",
    roles: {
      leader: "Leiter",
      follower: "Folger",
      candidate: "Kandidat",
      unreachable: "nicht erreichbar",
    },
    epoch: "Epoche",
    open: "Cluster anzeigen",
  },
  body: {
    more: "Alles zeigen",
    less: "Weniger zeigen",
    copyCode: "Kopieren",
    code: (language) => (language === undefined ? "Code" : `Code: ${language}`),
    table: "Tabelle",
    done: "erledigt",
    open: "offen",
  },
  completion: {
    label: "Vorschläge",
    everybody: "alle in diesem Raum",
    offered: (count, first) => `${many(count, "Vorschlag", "Vorschläge")}: ${first}`,
  },
  palette: {
    open: "Gehe zu…",
    title: "Gehe zu",
    field: "Raum, Person oder Befehl",
    none: "Nichts hat diesen Namen.",
    room: "Raum",
    mention: "erwähnen",
    command: "Befehl",
    markAllRead: "Alle Räume als gelesen markieren",
  },
  help: {
    title: "Hilfe und Tasten",
    keysTitle: "Tasten",
    writing: "Schreiben",
    keys: {
      palette: "Strg K",
      rooms: "Alt ↑ ↓",
      unread: "Alt Umschalt ↑ ↓",
      read: "Esc",
      messages: "↑ ↓",
      regions: "F6",
      cluster: "Strg .",
      help: "Strg /",
      newline: "Umschalt Eingabe",
    },
    meaning: {
      palette: "Zu einem Raum, einer Person oder einem Befehl",
      rooms: "Voriger, nächster Raum",
      unread: "Voriger, nächster ungelesener Raum",
      read: "Raum als gelesen markieren, zum Ende gehen",
      messages: "Im Verlauf: vorige, nächste Nachricht",
      regions: "Nächster Teil der Seite",
      cluster: "Der Cluster",
      help: "Diese Hilfe",
      newline: "Neue Zeile in einer Nachricht",
    },
    notation: {
      bold: "fett",
      italic: "kursiv",
      strike: "durchgestrichen",
      code: "Code in der Zeile",
      block: "Code in eigenen Zeilen",
      quote: "ein Zitat",
      list: "eine Liste",
      link: "ein Link",
      names: "Personen, Räume, Emoji: eine Liste erscheint",
    },
  },
  regions: { rooms: "Räume", account: "Konto", room: "Raum" },
  languages: "Sprache",
};
