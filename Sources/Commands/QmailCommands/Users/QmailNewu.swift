private import ControlFiles
private import Injection
private import Posix

/// qmail-newu: users/assign into users/cdb (spec-qmail §6.3). On failure the old users/cdb stays.
enum QmailNewu {
    private static let maxBytes = 1 << 30

    static func run(_: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        do throws(SystemError) { try QmailHome.enter() } catch { return failed("unable to chdir") }
        let text: [UInt8]?
        do throws(SystemError) { text = try readSmallFile("users/assign", maxBytes: maxBytes) } catch {
            return failed(error.call == "open" ? "unable to open users/assign" : "unable to read users/assign")
        }
        guard let text else { return failed("unable to open users/assign") }
        do throws(CompiledFile.Failure) {
            let descriptor = try CompiledFile.create("users/cdb.tmp")
            guard let database = try? UserAssignments.compiled(text) else { return failed("bad format in users/assign") }
            try CompiledFile.finish(descriptor, "users/cdb.tmp", database, as: "users/cdb")
            return ExitCode.ok
        } catch {
            switch error {
            case .writing(let error): return failed(error.call == "open" ? "unable to open users/cdb.tmp" : "unable to write users/cdb.tmp")
            case .moving: return failed("unable to move users/cdb.tmp to users/cdb")
            }
        }
    }

    private static func failed(_ text: String) -> Int32 { fatal("qmail-newu", text, ExitCode.temporary) }
}
