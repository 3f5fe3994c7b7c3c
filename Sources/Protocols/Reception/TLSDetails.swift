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

    /// For a program's environment, under the names of mod_ssl and of the UCSPI tools (`SSL_…`) and under Postfix's (`TLS_…`).
    package var variables: [(name: String, value: [UInt8])] {
        var result = [("TLS_PROTOCOL", version), ("SSL_PROTOCOL", version), ("TLS_CIPHER", cipher), ("SSL_CIPHER", cipher)]
        if let serverName { result += [("TLS_SNI", serverName), ("SSL_TLS_SNI", serverName)] }
        return result
    }
}
