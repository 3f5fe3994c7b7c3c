package import Accounts
private import CDB
private import ControlFiles
private import Posix

/// `auth/accounts.cdb`, read anew when it was replaced; a damaged one leaves the old.
package final class AccountDatabase {
    package enum Failure: Error { case damaged }

    private let file: Watched<ConstantDatabase?>

    package init(_ path: String = LoginRecord.path) throws {
        file = try Watched([path]) {
            try ConstantDatabase.open(path)
        } complain: {
            log("auth: \(path): \($0); the old one stays")
        }
    }

    /// - Parameter address: in lower case.
    package func record(of address: [UInt8]) throws(Failure) -> LoginRecord? {
        do throws(ConstantDatabase.Failure) {
            guard let value = try file.refreshed()?.value(of: address) else { return nil }
            guard let record = LoginRecord(encoded: value) else { throw .damaged }
            return record
        } catch {
            throw .damaged
        }
    }
}
