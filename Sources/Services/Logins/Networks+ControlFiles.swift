package import ConnectionRules
package import ControlFiles
private import Posix

extension Networks {
    /// A control file with one of them a line; nobody when it is missing.
    package init(_ control: ControlDirectory, _ name: String) throws {
        let entries = try control.list(name) ?? []
        do throws(BadEntry) {
            try self.init(entries)
        } catch {
            throw ControlFileError(file: control.file(name), line: 0, problem: "neither ADDRESS, ADDRESS/BITS nor unix: \(logsafe(error.text))")
        }
    }
}
