private import Addresses
private import Bytes
internal import Frames
private import Glibc
private import Posix

/// Which of the `.qmail` files that may answer is there (spec-qmail §7.2, §7.3).
package enum DotQmailSearch: Equatable, Sendable {
    /// Its path.
    case file([UInt8])
    case none
    /// Something could not be looked at.
    case unknown

    package init(home: [UInt8], dash: ArraySlice<UInt8>, ext: ArraySlice<UInt8>) {
        // Without the home itself, or while mail waits for its mode, absence of its files says nothing.
        guard answers(home) else {
            self = .unknown
            return
        }
        for candidate in DotQmailNames(dash: dash, ext: ext) {
            let path = home + [ASCII.slash] + candidate.name
            var info = stat()
            do throws(SystemError) {
                try withPath(path) { (path) throws(SystemError) in try check("stat") { stat(path, &info) } }
                guard info.st_mode & S_IFMT != S_IFREG else {
                    self = .file(path)
                    return
                }
            } catch {
                guard !error.isTemporary, error.errno != EACCES, error.errno != EPERM else {
                    self = .unknown
                    return
                }
            }
        }
        self = .none
    }

    /// Only certainty says nonexistent.
    var verdict: Route.Verdict {
        switch self {
        case .file: .exists
        case .none: .nonexistent
        case .unknown: .unknown
        }
    }
}

/// Sticky, because its user is at work on the files, or writable by all (spec-qmail §7.2).
private let waitingMode: UInt32 = 0o1002

private func answers(_ path: [UInt8]) -> Bool {
    var info = stat()
    let found = try? withPath(path) { (path) throws(SystemError) in try check("stat") { stat(path, &info) } }
    return found != nil && info.st_mode & S_IFMT == S_IFDIR && info.st_mode & waitingMode == 0
}
