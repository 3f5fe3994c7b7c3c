private import Accounts
private import CDB
package import ControlFiles
private import Glibc
package import Posix
package import Reception

extension Rcpthosts {
    /// Read besides the control files: the domains of accounts are ours without being named again.
    package static let accountsFile = AccountDirectory.path

    /// `control/rcpthosts` with the domains of accounts, and `control/morercpthosts.cdb`; without the first every domain is taken.
    package init(_ control: ControlDirectory) throws(SystemError) {
        var domains = try control.list("rcpthosts")
        if domains != nil { domains?.append(contentsOf: try Rcpthosts.accountDomains()) }
        self.init(domains, more: try Rcpthosts.more(control))
    }

    private static func accountDomains() throws(SystemError) -> Set<[UInt8]> {
        do throws(AccountDirectory.Failure) {
            return try AccountDirectory.open()?.domains() ?? []
        } catch {
            switch error {
            case .unreadable(let error): throw error
            case .damaged: throw SystemError(call: "read", subject: accountsFile, errno: EIO)
            }
        }
    }

    private static func more(_ control: ControlDirectory) throws(SystemError) -> @Sendable ([UInt8]) -> Lookup {
        guard let database = try ConstantDatabase.open(control.file("morercpthosts.cdb")) else { return { _ in .absent } }
        return { key in
            do throws(ConstantDatabase.Failure) { return try database.value(of: key) == nil ? .absent : .found } catch { return .unreadable }
        }
    }
}
