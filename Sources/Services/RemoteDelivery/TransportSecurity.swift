/// What a connection must have before mail goes over it.
package enum TransportSecurity: String, Hashable, Sendable {
    /// No TLS, even if it is offered.
    case none
    /// TLS where the host offers it, whoever its certificate says it is; plaintext where it offers none (RFC 7435).
    case may
    /// TLS, whoever the certificate says the host is.
    case encrypt
    /// TLS, with a certificate of the host's from an authority that we trust.
    case verify
}
