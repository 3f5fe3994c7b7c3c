private import CDB
private import Posix

extension AccountOwner {
    /// What the database at `path` says; nil when it is not there, or says nothing.
    package static func published(_ path: String) -> AccountOwner? {
        guard let database = try? ConstantDatabase.open(path), let value = try? database.value(of: AccountKey.owner) else { return nil }
        return AccountOwner(value)
    }
}
