private import CDB
package import ControlFiles
package import Posix
package import Reception

extension Rcpthosts {
    /// `control/rcpthosts` and `control/morercpthosts.cdb`; without the first every domain is taken.
    package init(_ control: ControlDirectory) throws(SystemError) {
        self.init(try control.list("rcpthosts"), more: try Rcpthosts.more(control))
    }

    private static func more(_ control: ControlDirectory) throws(SystemError) -> @Sendable ([UInt8]) -> Lookup {
        guard let database = try ConstantDatabase.open(control.file("morercpthosts.cdb")) else { return { _ in .absent } }
        return { key in
            do throws(ConstantDatabase.Failure) { return try database.value(of: key) == nil ? .absent : .found } catch { return .unreadable }
        }
    }
}
