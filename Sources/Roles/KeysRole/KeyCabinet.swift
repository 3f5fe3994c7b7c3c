private import Bytes
private import ControlFiles
internal import Frames
private import Glibc
private import Posix

/// The keys in `tls/`, each read when it is first asked for and again when it or its certificate changed.
///
/// A key that cannot be used leaves the one that was there; why is said once. So a certificate may be renewed file by file: the key first.
final class KeyCabinet {
    private struct Drawer {
        let states: [FileState]
        let key: SigningKey?
    }

    private var drawers: [String: Drawer] = [:]

    private static let path = "tls"
    private static let maxFileBytes = 1 << 20
    /// Requests come from processes that speak with the Internet: a name that is no folder must not be kept.
    private static let maxNameBytes = 255

    func answer(_ request: Signing.Request) -> Signing.Answer {
        guard let key = key(request.certificate.text), let signature = key.sign(Array(request.bytes), scheme: request.scheme) else {
            return .refused(token: request.token)
        }
        return .signature(token: request.token, signature[...])
    }

    /// Files are read again at their next use, changed or not: after what `stat` does not show, as rights that were given.
    func forgetStates() { drawers = drawers.mapValues { Drawer(states: [], key: $0.key) } }

    func hasUsableKey() -> Bool { names().contains { key($0) != nil } }

    private func key(_ name: String) -> SigningKey? {
        guard !name.isEmpty, name.utf8.count <= Self.maxNameBytes, !name.hasPrefix("."), !name.utf8.contains(ASCII.slash), !name.utf8.contains(0)
        else { return nil }
        let files = ["key.pem", "cert.pem"].map { "\(Self.path)/\(name)/\($0)" }
        let states = files.map(FileState.of)
        if let known = drawers[name], known.states == states { return known.key }
        let before = drawers[name]?.key
        do {
            let key = try load(key: files[0], certificate: files[1])
            drawers[name] = key.map { Drawer(states: states, key: $0) }
            return key
        } catch {
            log("keys: warning: \(error); \(before == nil ? "it is not used" : "the old key stays")")
            drawers[name] = Drawer(states: states, key: before)
            return before
        }
    }

    /// - Returns: nil when there is neither file.
    private func load(key keyFile: String, certificate: String) throws -> SigningKey? {
        guard let pem = try readSmallFile(keyFile, maxBytes: Self.maxFileBytes) else {
            guard FileState.of(certificate) != .missing else { return nil }
            throw ControlFileError(file: keyFile, line: 0, problem: "is missing, and \(certificate) is there")
        }
        guard let key = SigningKey(pem: pem) else {
            throw ControlFileError(
                file: keyFile, line: 0, problem: "is no private key in PEM that can be used (ECDSA, RSA or Ed25519, without a password)")
        }
        guard let chain = try readSmallFile(certificate, maxBytes: Self.maxFileBytes) else {
            throw ControlFileError(file: certificate, line: 0, problem: "is missing")
        }
        guard key.belongs(toCertificate: chain) else {
            throw ControlFileError(file: keyFile, line: 0, problem: "does not belong to the first certificate in \(certificate)")
        }
        return key
    }

    private func names() -> [String] {
        guard let directory = opendir(Self.path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
                })
        }
        return names
    }
}
