private import Bytes
private import Crypto
private import FoundationEssentials
private import Glibc
private import Posix
private import X509

/// The certificate of a site that has none yet, so that mail is encrypted from the first day: P-256, signed by itself, for the host's own name. Other
/// servers do not check whom it is for; people's mail programs will ask.
enum SelfSigned {
    private static let folder = "tls/default"
    /// What begins so is no certificate's folder yet.
    private static let draft = "tls/.default"
    /// Nobody renews it.
    private static let years = 10.0

    /// Makes `tls/default`, whole or not at all, where there is none: what somebody has put there and cannot be used is not ours to replace. What goes wrong
    /// is said and leaves a site without TLS.
    static func make(for me: [UInt8]) {
        do {
            let name = me.text
            let key = P256.Signing.PrivateKey()
            let certificate = try certificate(name, .init(key))
            try makeFolder("tls")
            try makeFolder(draft)
            try write("\(draft)/key.pem", key.pemRepresentation, mode: 0o600)
            try write("\(draft)/cert.pem", try certificate.serializeAsPEM().pemString, mode: 0o644)
            try check("rename", folder) { rename(draft, folder) }
            log("keys: made a self-signed certificate for \(logsafe(me)) in \(folder)")
        } catch {
            log("keys: warning: no certificate could be made: \(error)")
        }
    }

    private static func certificate(_ name: String, _ key: Certificate.PrivateKey) throws -> Certificate {
        let subject = try DistinguishedName { CommonName(String(name.prefix(64))) }
        let now = Date()
        return try Certificate(
            version: .v3, serialNumber: .init(), publicKey: key.publicKey, notValidBefore: now.addingTimeInterval(-86_400),
            notValidAfter: now.addingTimeInterval(years * 365.25 * 86_400), issuer: subject, subject: subject, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try .init {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                try ExtendedKeyUsage([.serverAuth])
                SubjectAlternativeNames([.dnsName(name)])
            }, issuerPrivateKey: key)
    }

    /// One that other roles look into, whatever the umask; one that is there stays as it is.
    private static func makeFolder(_ path: String) throws(SystemError) {
        if mkdir(path, 0o755) != 0 {
            let code = errno
            guard code == EEXIST else { throw SystemError(call: "mkdir", subject: path, errno: code) }
            return
        }
        try check("chmod", path) { chmod(path, 0o755) }
    }

    private static func write(_ path: String, _ text: String, mode: mode_t) throws(SystemError) {
        // Of an earlier attempt.
        unlink(path)
        let descriptor = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL, mode: mode)
        try check("fchmod", path) { fchmod(descriptor.raw, mode) }
        let bytes = Array(text.utf8) + [ASCII.lf]
        var written = 0
        while written < bytes.count {
            written += try check("write", path) {
                bytes.withUnsafeBytes { Glibc.write(descriptor.raw, $0.baseAddress?.advanced(by: written), $0.count - written) }
            }
        }
        try check("fsync", path) { fsync(descriptor.raw) }
    }
}
