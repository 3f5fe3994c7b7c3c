private import Addresses
private import Bytes
internal import Frames
private import Glibc
private import Posix

/// Whether one of the `.qmail` files that may answer is there (spec-qmail §7.2, §7.3). Only certainty says nonexistent: what cannot be
/// looked at is unknown.
func dotQmailVerdict(home: [UInt8], dash: ArraySlice<UInt8>, ext: ArraySlice<UInt8>) -> Route.Verdict {
    // Without the home itself, or while mail waits for its mode, absence of its files says nothing.
    guard answers(home) else { return .unknown }
    for candidate in DotQmailNames(dash: dash, ext: ext) {
        var info = stat()
        do throws(SystemError) {
            try withPath(home + [ASCII.slash] + candidate.name) { (path) throws(SystemError) in try check("stat") { stat(path, &info) } }
            if info.st_mode & S_IFMT == S_IFREG { return .exists }
        } catch {
            if error.isTemporary || error.errno == EACCES || error.errno == EPERM { return .unknown }
        }
    }
    return .nonexistent
}

/// Sticky, because its user is at work on the files, or writable by all (spec-qmail §7.2).
private let waitingMode: UInt32 = 0o1002

private func answers(_ path: [UInt8]) -> Bool {
    var info = stat()
    let found = try? withPath(path) { (path) throws(SystemError) in try check("stat") { stat(path, &info) } }
    return found != nil && info.st_mode & S_IFMT == S_IFDIR && info.st_mode & waitingMode == 0
}
