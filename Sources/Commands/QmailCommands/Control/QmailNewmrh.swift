private import Bytes
private import CDB
private import ControlFiles
private import Injection
private import Posix

/// qmail-newmrh: control/morercpthosts into control/morercpthosts.cdb (spec-qmail §6.7).
enum QmailNewmrh {
    static func run(_: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        do throws(SystemError) { try QmailHome.enter() } catch { return failed("unable to chdir to \(QmailHome.find()): \(error.reason)") }
        let lines: [[UInt8]]?
        do throws(SystemError) { lines = try ControlDirectory().list("morercpthosts") } catch {
            return failed("unable to read control/morercpthosts: \(error.reason)")
        }
        guard let lines else { return failed("unable to read control/morercpthosts: file does not exist") }
        var writer = ConstantDatabaseWriter()
        for line in lines { writer.add(key: line.lowercasedASCII(), value: []) }
        let temporary = "control/morercpthosts.tmp"
        do throws(CompiledFile.Failure) {
            let descriptor = try CompiledFile.create(temporary)
            try CompiledFile.finish(descriptor, temporary, writer.finish(), as: "control/morercpthosts.cdb")
            return ExitCode.ok
        } catch {
            switch error {
            case .writing(let error): return failed("unable to write to \(temporary): \(error.reason)")
            case .moving(let error): return failed("unable to move \(temporary) to control/morercpthosts.cdb: \(error.reason)")
            }
        }
    }

    private static func failed(_ text: String) -> Int32 { fatal("qmail-newmrh", text, ExitCode.temporary) }
}
