package import ControlFiles
package import Posix

/// Why an import did not begin, or did not come to its end; the text says what to do.
package enum ImportRefusal: Error, CustomStringConvertible {
    case noQmail(String)
    case ownHome(String)
    case qmailRuns(String)
    case martletdRuns
    case noHome
    case control(ControlFileError)
    case disk(SystemError)
    case queue(QueueImport.Failure)

    package var description: String {
        switch self {
        case .noQmail(let path): "\(path) is no home of qmail: there is no \(path)/queue/mess; name the folder that holds control and queue"
        case .ownHome(let path):
            "\(path) is the home of this Martlet: move qmail's aside (mv \(path) \(path).old), install Martlet anew, and import \(path).old"
        case .qmailRuns(let path): "qmail-send runs in \(path): stop it, and all that queues mail there, then import"
        case .martletdRuns: "martletd runs here: stop it first (kill $(cat run/martletd.lock)), then import"
        case .noHome: "there is no queue folder here: make this home with `make install`, or name another: QMAILHOME=DIR martlet import …"
        case .control(let error): "\(error)"
        case .disk(let error): "\(error)"
        case .queue(let failure): ImportRefusal.text(failure)
        }
    }

    private static func text(_ failure: QueueImport.Failure) -> String {
        let again = "; mend that and give the same command again: it goes on where it stopped"
        return switch failure {
        case .disk(let error): "\(error)\(again)"
        case .lostLog: "the queue's disk failed to write, and nobody knows what of the last messages is on it\(again)"
        case .malformed(let file, let line): "\(file) line \(line) is not what an import wrote: without it nobody knows which messages were imported"
        }
    }
}
