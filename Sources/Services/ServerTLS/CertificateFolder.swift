private import Bytes
private import ControlFiles
private import Glibc
internal import NIOSSL
private import Posix

/// The certificates on disk: `tls/NAME/cert.pem`, the leaf first, for the host NAME. `tls/default` is shown to clients that name no host or one that
/// is not here; without it the folder named as `control/me`, else the first by name.
///
/// A file that became unreadable or wrong leaves the certificate that was there, and is complained about once.
final class CertificateFolder: CertificateSource {
    private static let path = "tls"
    private static let maxFileBytes = 1 << 20
    private static let maxNames = 10_000
    private static let checkEvery: UInt64 = 1_000_000_000

    private struct Seen {
        let state: FileState
        /// Nil when there never was a usable one.
        let certificate: ServerCertificate?
    }

    private let role: String
    private var seen: [String: Seen] = [:]
    private var checked: UInt64?
    /// For clients that name no host.
    private(set) var standard: ServerCertificate?
    private let key: (String) -> NIOSSLPrivateKeySource

    /// - Parameter key: of the folder with that name.
    init(role: String, key: @escaping (String) -> NIOSSLPrivateKeySource) {
        self.role = role
        self.key = key
    }

    func certificate(for serverName: String) -> ServerCertificate? {
        let name = String(decoding: Array(serverName.utf8).lowercasedASCII(), as: UTF8.self)
        // Folders may be called anything; a host's name is never `default`, and the standard one needs no choice.
        return name == Self.standardName ? nil : seen[name]?.certificate
    }

    private static let standardName = "default"

    /// - Returns: whether something changed. Looks at most once a second.
    func refresh() -> Bool {
        let now = monotonicNanoseconds()
        if let checked, now &- checked < Self.checkEvery { return false }
        checked = now
        var found: [String: Seen] = [:]
        var isChanged = false
        for name in names() {
            let state = FileState.of(file(name))
            if let known = seen[name], known.state == state {
                found[name] = known
            } else {
                found[name] = Seen(state: state, certificate: load(name) ?? seen[name]?.certificate)
                isChanged = true
            }
        }
        isChanged = isChanged || found.count != seen.count
        seen = found
        if isChanged { standard = chooseStandard() }
        return isChanged
    }

    private func file(_ name: String) -> String { "\(Self.path)/\(name)/cert.pem" }

    /// Folders that hold a certificate.
    private func names() -> [String] {
        guard let directory = opendir(Self.path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while names.count < Self.maxNames, let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if !name.hasPrefix("."), access(file(name), F_OK) == 0 { names.append(name) }
        }
        return names
    }

    private func load(_ name: String) -> ServerCertificate? {
        do {
            guard let pem = try readSmallFile(file(name), maxBytes: Self.maxFileBytes) else { return nil }
            let (leaf, chain) = try ServerCertificate.chain(pem)
            if leaf.notValidAfter < time_t(unixTime()) { log("\(role): warning: \(file(name)) has expired") }
            return ServerCertificate(chain: chain, key: key(name))
        } catch {
            let problem = (error as? SystemError)?.reason ?? "is no chain of certificates in PEM"
            log("\(role): warning: \(file(name)): \(problem); \(seen[name]?.certificate == nil ? "it is not used" : "the old one stays")")
            return nil
        }
    }

    private func chooseStandard() -> ServerCertificate? {
        if let own = seen[Self.standardName]?.certificate { return own }
        let me = (try? ControlDirectory().line("me")).flatMap { $0 }.map { String(decoding: $0.lowercasedASCII(), as: UTF8.self) }
        if let me, let own = seen[me]?.certificate { return own }
        return seen.sorted { $0.key < $1.key }.lazy.compactMap(\.value.certificate).first
    }
}
