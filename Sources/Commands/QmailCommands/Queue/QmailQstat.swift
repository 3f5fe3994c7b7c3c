private import Frames
private import Injection
private import Posix
private import QueueAdministration

/// qmail-qstat (spec-qmail §4.3): how many messages the queue holds.
enum QmailQstat {
    static func run(_: Invocation) -> Int32 {
        occupyStandardDescriptors(readers: [0])
        do throws(SystemError) { try QmailHome.enter() } catch {
            return fatal("qmail-qstat", "unable to chdir: \(error.reason)", ExitCode.temporary)
        }
        var output = Output(1)
        do throws(AdminClient.Failure) {
            try AdminClient().ask(.counts) { answer in
                guard case .counts(let counts) = answer else { return }
                output.write("messages in queue: \(counts.messages)\n")
                output.write("messages in queue but not yet preprocessed: \(counts.notPreprocessed)\n")
            }
        } catch {
            return fatal("qmail-qstat", error.text, ExitCode.temporary)
        }
        output.flush()
        return output.hasFailed ? ExitCode.temporary : ExitCode.ok
    }
}
