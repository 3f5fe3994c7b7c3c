private import Addresses
private import Bytes
internal import Frames
private import Glibc
private import Posix

/// The sender of forwarded messages: who owns a list gets its bounces (spec-qmail §7.7).
func newSender(_ request: WorkerRequest, _ home: Home) throws(Undeliverable) -> [UInt8] {
    guard !request.sender.isNull, !request.sender.isDoubleBounce else { return request.sender.bytes }
    let owner = Array(".qmail".utf8) + request.dash + DotQmailNames.safe(request.ext) + Array("-owner".utf8)
    guard try exists(owner, in: home) else { return request.sender.bytes }
    let local = request.localPart + Array("-owner".utf8)
    if try exists(owner + Array("-default".utf8), in: home) {
        return local + Array("-@".utf8) + request.domain + Array("-@[]".utf8)
    }
    return local + [ASCII.at] + request.domain
}

/// Whatever its type.
private func exists(_ name: [UInt8], in home: Home) throws(Undeliverable) -> Bool {
    var info = stat()
    do throws(SystemError) {
        try withPath(name) { (path) throws(SystemError) in try check("stat") { fstatat(home.directory.raw, path, &info, 0) } }
        return true
    } catch {
        if error.isTemporary { throw .trouble("Unable to open", name, error.reason, "4.3.0") }
        return false
    }
}
