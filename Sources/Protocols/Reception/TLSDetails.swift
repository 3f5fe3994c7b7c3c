private import Bytes

/// What was agreed when a connection was encrypted, for the Received field and for programs.
package struct TLSDetails: Equatable, Sendable {
    /// `TLSv1.2` or `TLSv1.3`.
    package var version: [UInt8]
    /// IANA's name: `TLS_AES_128_GCM_SHA256`.
    package var cipher: [UInt8]
    /// The host that the client asked for (RFC 6066 §3); nil without one, or with one that is no host name.
    package var serverName: [UInt8]?

    package init(version: [UInt8], cipher: [UInt8], serverName: [UInt8]? = nil) {
        self.version = version
        self.cipher = cipher
        self.serverName = serverName
    }

    /// From the variables that whoever encrypted the connection has set; nil when there are none.
    package init?(variable: (String) -> [UInt8]?) {
        guard let version = variable("TLS_PROTOCOL") ?? variable("SSL_PROTOCOL"), let cipher = variable("TLS_CIPHER") ?? variable("SSL_CIPHER")
        else { return nil }
        // A header field's comment takes no parentheses, and nothing that is not text.
        func word(_ value: [UInt8]) -> [UInt8] {
            value.prefix(64).map { $0.isLetter || $0.isDigit || Set("-_.".utf8).contains($0) ? $0 : ASCII.question }
        }
        self.init(version: word(version), cipher: word(cipher), serverName: variable("TLS_SNI") ?? variable("SSL_TLS_SNI"))
    }

    /// For a program's environment, under the names of mod_ssl and of the UCSPI tools (`SSL_…`) and under Postfix's (`TLS_…`).
    package var variables: [(name: String, value: [UInt8])] {
        var result = [("TLS_PROTOCOL", version), ("SSL_PROTOCOL", version), ("TLS_CIPHER", cipher), ("SSL_CIPHER", cipher)]
        if let serverName { result += [("TLS_SNI", serverName), ("SSL_TLS_SNI", serverName)] }
        return result
    }
}
