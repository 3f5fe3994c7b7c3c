internal import GRDB

/// The tables of `auth/accounts.sqlite`. Names are unique and references hold whatever a command forgets to look at.
enum AccountSchema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("accounts") { try $0.execute(sql: first) }
        return migrator
    }

    /// `target` is what an alias leads to, or what a mailbox sends on; `password` without a label is the mailbox's own.
    private static let first = """
        CREATE TABLE state (only INTEGER PRIMARY KEY CHECK (only = 1), generation INTEGER NOT NULL);
        INSERT INTO state VALUES (1, 0);
        CREATE TABLE domain (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE removedDomain (name TEXT PRIMARY KEY) WITHOUT ROWID;
        CREATE TABLE catchAll (domain INTEGER NOT NULL REFERENCES domain ON DELETE CASCADE, place INTEGER NOT NULL, target BLOB NOT NULL,
            PRIMARY KEY (domain, place)) WITHOUT ROWID;
        CREATE TABLE address (id INTEGER PRIMARY KEY, domain INTEGER NOT NULL REFERENCES domain, localPart TEXT NOT NULL, UNIQUE (domain, localPart));
        CREATE TABLE target (address INTEGER NOT NULL REFERENCES address ON DELETE CASCADE, place INTEGER NOT NULL, target BLOB NOT NULL,
            PRIMARY KEY (address, place)) WITHOUT ROWID;
        CREATE TABLE mailbox (address INTEGER PRIMARY KEY REFERENCES address ON DELETE CASCADE, quotaBytes INTEGER NOT NULL, quotaMessages INTEGER NOT NULL,
            keepsMail INTEGER NOT NULL);
        CREATE TABLE password (address INTEGER NOT NULL REFERENCES mailbox ON DELETE CASCADE, label TEXT NOT NULL, hash BLOB NOT NULL,
            created INTEGER NOT NULL, PRIMARY KEY (address, label)) WITHOUT ROWID;
        CREATE TABLE scram (address INTEGER PRIMARY KEY REFERENCES mailbox ON DELETE CASCADE, iterations INTEGER NOT NULL, salt BLOB NOT NULL,
            storedKey BLOB NOT NULL, serverKey BLOB NOT NULL);
        CREATE TABLE secret (address INTEGER PRIMARY KEY REFERENCES mailbox ON DELETE CASCADE, secret BLOB NOT NULL);
        """
}
