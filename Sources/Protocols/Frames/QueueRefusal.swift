/// Why a message was not queued. The number is qmail-queue's exit code, the text what its clients say (spec-qmail §3.2).
package enum QueueRefusal: UInt8, Error, Sendable, CaseIterable {
    case addressTooLong = 11
    case permanentlyRejected = 31
    case outOfMemory = 51
    case timeout = 52
    case writeErrorOrDiskFull = 53
    case readError = 54
    case cannotReadConfiguration = 55
    case troubleMakingConnection = 56
    case troubleInHome = 61
    case troubleCreatingFiles = 63
    case temporarilyRejected = 71
    case badEnvelope = 91

    package var isPermanent: Bool { rawValue >= 11 && rawValue <= 40 }

    package var text: String {
        switch self {
        case .addressTooLong: "envelope address too long for qq (#5.1.3)"
        case .permanentlyRejected: "mail server permanently rejected message (#5.3.0)"
        case .outOfMemory: "qq out of memory (#4.3.0)"
        case .timeout: "qq timeout (#4.3.0)"
        case .writeErrorOrDiskFull: "qq write error or disk full (#4.3.0)"
        case .readError: "qq read error (#4.3.0)"
        case .cannotReadConfiguration: "qq unable to read configuration (#4.3.0)"
        case .troubleMakingConnection: "qq trouble making network connection (#4.3.0)"
        case .troubleInHome: "qq trouble in home directory (#4.3.0)"
        case .troubleCreatingFiles: "qq trouble creating files in queue (#4.3.0)"
        case .temporarilyRejected: "mail server temporarily rejected message (#4.3.0)"
        case .badEnvelope: "qq internal bug (#4.3.0)"
        }
    }
}
