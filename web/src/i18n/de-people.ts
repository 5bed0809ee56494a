// German: accounts, sessions, invitations, and who is in which room.

import type { people as en } from "./en-people.ts";

export const people: typeof en = {
  writing: (names) => {
    const [one, two, more] = names;
    if (more !== undefined) return "Mehrere schreiben…";
    if (two !== undefined) return `${one} und ${two} schreiben…`;
    return one === undefined ? "" : `${one} schreibt…`;
  },
  presence: { online: "online", away: "abwesend", offline: "offline" },
  signIn: {
    title: "Anmelden",
    password: "Passwort",
    submit: "Anmelden",
    to: "Ich habe ein Konto",
    toSignUp: "Konto anlegen",
    closed: "Zurzeit kann hier niemand ein Konto anlegen.",
    invitationOnly: "Um hier ein Konto anzulegen, brauchen Sie den Link einer Einladung.",
    invited: "Sie sind eingeladen. Wählen Sie einen Namen und ein Passwort.",
    badInvitation:
      "Diese Einladung ist verbraucht, beendet oder falsch. Bitten Sie um einen neuen Link.",
    first: "Dem ersten Konto gehört dieser Chat.",
    passwordHint: "8 Zeichen oder mehr. Ein Satz ist gut.",
    passwordRefused: "Bitte mindestens 8 Zeichen.",
  },
  account: {
    open: "Ihr Konto",
    title: "Ihr Konto",
    name: "Name",
    colour: "Farbe",
    colourAutomatic: "Automatisch",
    colourOf: (number) => `Farbe ${number}`,
    save: "Speichern",
    saved: "Gespeichert",
    password: "Passwort",
    passwordMissing:
      "Es ist kein Passwort gesetzt: Mit der Abmeldung ist dieses Konto verloren. Setzen Sie eines, um es zu behalten.",
    current: "Bisheriges Passwort",
    next: "Neues Passwort",
    setPassword: "Passwort setzen",
    changePassword: "Passwort ändern",
    othersEnd: "Alle Ihre anderen Sitzungen enden.",
    passwordSaved: "Das Passwort ist gesetzt",
    sessions: "Wo Sie angemeldet sind",
    thisSession: "diese hier",
    unknownDevice: "Unbekanntes Gerät",
    since: (when) => `seit ${when}`,
    revoke: "Beenden",
    revokeSession: (device) => `Die Sitzung ${device} beenden`,
    revoked: "Die Sitzung ist beendet",
    deactivate: "Konto stilllegen",
    deactivateText:
      "Sie werden überall abgemeldet und können sich nicht mehr anmelden. Ihre Nachrichten bleiben. Ein Admin kann es rückgängig machen.",
    roles: {
      owner: "Eigentümer",
      admin: "Admin",
      moderator: "Moderator",
      member: "Mitglied",
      guest: "Gast",
      bot: "Bot",
    },
  },
  signUps: {
    open: "Personen einladen",
    title: "Personen einladen",
    who: "Wer ein Konto anlegen darf",
    modes: {
      open: "Alle, die diese Seite erreichen",
      invitation: "Wer eine Einladung hat",
      closed: "Niemand",
    },
    create: "Link erzeugen",
    uses: "Wie viele Personen",
    role: "Sie werden",
    link: "Link der Einladung",
    linkHint: "Er wird nur dieses eine Mal gezeigt. Wer ihn hat, kann ein Konto anlegen.",
    copy: "Kopieren",
    copied: "Kopiert",
    list: "Gültige Einladungen",
    none: "Keine.",
    entry: (role, left, by) => `${role}, noch ${left}, von ${by}`,
    revoke: "Beenden",
    revokeOne: (entry) => `Die Einladung beenden: ${entry}`,
  },
  room: {
    open: "Über diesen Raum",
    private: "Privat",
    privateHint:
      "Einen privaten Raum sehen nur Personen, die hinzugefügt werden; andere erfahren nicht von ihm.",
    directHint: "Ein direkter Raum bleibt zwischen denselben Personen.",
    topic: "Worum es geht",
    add: "Personen hinzufügen",
    find: "Eine Person finden",
    nobody: "Niemand mit diesem Namen.",
    remove: "Entfernen",
    removeOne: (name) => `${name} entfernen`,
    archive: "Raum archivieren",
    restore: "Raum wieder öffnen",
    archiveHint: "Ein archivierter Raum lässt sich lesen, aber nichts wird mehr geschrieben.",
    isArchived: "archiviert",
    added: (name) => `${name} wurde hinzugefügt`,
    removed: (name) => `${name} wurde entfernt`,
    renamed: (who, name) => `${who} hat den Raum ${name} genannt`,
    topicSet: (who, topic) =>
      topic === "" ? `${who} hat das Thema entfernt` : `${who} hat das Thema gesetzt: ${topic}`,
    archived: (who) => `${who} hat den Raum archiviert`,
    restored: (who) => `${who} hat den Raum wieder geöffnet`,
  },
  direct: {
    title: "Direktnachricht",
    open: "Öffnen",
    chosen: "Gewählt",
    without: (name) => `Ohne ${name}`,
  },
};
