internal import Frames
private import Glibc
private import Posix
private import QueueAdministration

/// The queue, for one command; its failures are told with their mend.
struct QueueConnection {
    private let client: AdminClient

    init() throws(Complaint) {
        try enterHome()
        do throws(AdminClient.Failure) { client = try AdminClient() } catch { throw Self.complaint(error) }
    }

    func ask(_ request: Admin.Request, _ onAnswer: (Admin.Answer) -> Void) throws(Complaint) {
        do throws(AdminClient.Failure) { try client.ask(request, onAnswer) } catch { throw Self.complaint(error) }
    }

    private static func complaint(_ failure: AdminClient.Failure) -> Complaint {
        switch failure {
        case .lost: return Complaint("the queue went away before it had answered: look what is there, and run this again")
        case .connecting(let error):
            switch error.errno {
            case ENOENT, ECONNREFUSED: return Complaint("the queue is not running: start martletd, or say where it runs by QMAILHOME=DIR")
            case EACCES: return Complaint("no permission to ask the queue: run this as root, or join the group martlet-admin")
            default: return Complaint(failure.text)
            }
        }
    }
}
