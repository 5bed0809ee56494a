// The outbox of a browser: one object store, ordered by an increasing key that all tabs share.

import type { OutboxStorage, StoredMessage } from "./storage.ts";

const DATABASE = "chatterbox";
const STORE = "outbox";

interface Row extends StoredMessage {
  order?: number;
  account: string;
}

/** `account` keeps the messages of two people on one device apart. */
export function indexedDbStorage(account: string): OutboxStorage {
  let opened: Promise<IDBDatabase> | undefined;

  const store = async (mode: IDBTransactionMode): Promise<IDBObjectStore> => {
    opened ??= open();
    try {
      // "strict": the browser says "done" when the disk has it, not the operating system's cache.
      return (await opened).transaction(STORE, mode, { durability: "strict" }).objectStore(STORE);
    } catch (error) {
      // The browser closed the database (storage cleared, version change): open it anew next time.
      opened = undefined;
      throw error;
    }
  };

  return {
    async add(message) {
      const rows = await store("readwrite");
      rows.add({ ...message, account } satisfies Row);
      await committed(rows.transaction);
    },
    async replace(message) {
      const rows = await store("readwrite");
      const found = rows.index("cid").getKey([account, message.cid]);
      found.onsuccess = () => {
        if (typeof found.result !== "number") return;
        rows.put({ ...message, account, order: found.result } satisfies Row);
      };
      await committed(rows.transaction);
    },
    async remove(cid) {
      const rows = await store("readwrite");
      const found = rows.index("cid").getKey([account, cid]);
      found.onsuccess = () => {
        if (found.result !== undefined) rows.delete(found.result);
      };
      await committed(rows.transaction);
    },
    async load() {
      const rows = await store("readonly");
      const found = rows.index("account").getAll(account) as IDBRequest<Row[]>;
      await committed(rows.transaction);
      return found.result.map(({ order: _order, account: _account, ...message }) => message);
    },
    async removeAll() {
      const rows = await store("readwrite");
      const found = rows.index("account").getAllKeys(account);
      found.onsuccess = () => {
        for (const key of found.result) rows.delete(key);
      };
      await committed(rows.transaction);
    },
  };
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => {
      const rows = request.result.createObjectStore(STORE, {
        keyPath: "order",
        autoIncrement: true,
      });
      rows.createIndex("account", "account");
      rows.createIndex("cid", ["account", "cid"], { unique: true });
    };
    request.onsuccess = () => {
      const database = request.result;
      // Another tab runs a newer page that wants to change the layout: do not stand in its way.
      database.onversionchange = () => database.close();
      resolve(database);
    };
    request.onerror = () => reject(request.error);
  });
}

function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
    transaction.onerror = () => reject(transaction.error);
  });
}
