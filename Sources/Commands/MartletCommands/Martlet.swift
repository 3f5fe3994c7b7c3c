package import ArgumentParser
private import Glibc
private import Injection
private import Posix

/// The administrator's program: one command a field of work, each in a folder of its own.
///
/// Module `MartletCommands` is its subcommands. They have no right that their caller has not: what they may do is decided by the directories of the
/// sockets that they connect to and of the files that they open.
package struct Martlet: ParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "martlet", abstract: "Administers a Martlet mail system.",
        discussion: "The mail system is the one in QMAILHOME; else the one that this program lies in; else /var/qmail.",
        subcommands: [Queue.self, RouteCommand.self, Domain.self, User.self, Alias.self, Auth.self, Import.self])

    @Flag(help: "Print the manual page, for man(1).")
    var man = false

    package init() {}

    package func run() throws {
        guard man else { throw CleanExit.helpRequest(self) }
        print(ManualPage.text, terminator: "")
    }

    /// Runs what the arguments say, and ends the process: 0, 64 for a wrong call, 1 for what failed.
    package static func run() -> Never {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let complaint as Complaint {
            Terminal.complain(complaint.description)
            exit(withError: ExitCode.failure)
        } catch {
            exit(withError: error)
        }
        exit()
    }
}

/// A command that failed: one line that says what and, behind the colon, how to mend it.
struct Complaint: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Makes the home of the mail system the working directory.
func enterHome() throws(Complaint) {
    do throws(SystemError) { try QmailHome.enter() } catch {
        throw Complaint("no mail system in \(error.subject) (\(error.reason)): say where it is, QMAILHOME=DIR martlet …")
    }
}
