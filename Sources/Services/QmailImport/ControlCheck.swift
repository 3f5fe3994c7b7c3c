private import Bytes
private import CDB
internal import ControlFiles
private import Posix
private import RemoteDelivery
internal import Routing

/// Reads control files as our processes will, so that what is wrong with them is said before one of them starts.
struct ControlCheck {
    let control: ControlDirectory
    let users: String

    /// - Returns: how recipients are routed with these files.
    func run(_ report: ImportReport) throws(ImportRefusal) -> AddressRewriting {
        checkNumbers(report)
        checkDatabase(control.file("morercpthosts.cdb"), report)
        checkDatabase("\(users)/cdb", report)
        do { _ = try RemoteSettings(control) } catch { report.add(.trouble, "control", "\(error)") }
        do throws(ControlFileError) { return try AddressRewriting(control) } catch { throw .control(error) }
    }

    private func checkNumbers(_ report: ImportReport) {
        for name in KnownFiles.numbers {
            do throws(SystemError) {
                guard let line = try control.line(name), parseLeadingDecimal(line) == nil else { continue }
                report.add(.note, control.file(name), "holds no number: the default counts, as with qmail")
            } catch {
                report.add(.trouble, control.file(name), error.reason)
            }
        }
    }

    private func checkDatabase(_ path: String, _ report: ImportReport) {
        do {
            // Any key shows whether the tables lie within the file.
            _ = try ConstantDatabase.open(path)?.value(of: [ASCII.at])
        } catch let error as SystemError {
            report.add(.trouble, path, error.reason)
        } catch {
            report.add(.trouble, path, "is damaged: make it again (qmail-newu, qmail-newmrh)")
        }
    }
}
