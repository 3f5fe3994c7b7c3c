/// Which of the two servers the machine is: qmail's, byte for byte, or Martlet's.
package struct Profile: Equatable, Sendable {
    /// Lines of the EHLO reply after the first. `SIZE` is given its number when it is sent.
    package let extensions: [Extension]
    /// RFC 2034: the enhanced status code stands in front of the text.
    package let hasEnhancedStatus: Bool
    /// Paths and parameters are taken as RFC 5321 writes them, and answered 555 otherwise. Not strict: spec-qmail §13.3, where everything is an address.
    package let isStrict: Bool
    /// A bare LF in a message ends the session, a bare CR and NUL are kept (spec-qmail §13.4). Otherwise all three are read over and refused at the true end.
    package let endsSessionAtBareLF: Bool
    package let helpText: String

    /// RFC 5321 §4.1.1.1 `ehlo-keyword`.
    package enum Extension: String, Sendable {
        case pipelining = "PIPELINING"
        case size = "SIZE"
        case eightBitMIME = "8BITMIME"
        case enhancedStatusCodes = "ENHANCEDSTATUSCODES"
        case smtpUTF8 = "SMTPUTF8"
        case chunking = "CHUNKING"
    }

    package func has(_ wanted: Extension) -> Bool { extensions.contains(wanted) }

    /// notqmail 1.08's qmail-smtpd.
    package static let classic = Profile(
        extensions: [.pipelining, .eightBitMIME], hasEnhancedStatus: false, isStrict: false, endsSessionAtBareLF: true,
        helpText: "notqmail home page: https://notqmail.org")

    package static let modern = Profile(
        extensions: [.pipelining, .size, .eightBitMIME, .enhancedStatusCodes, .smtpUTF8, .chunking], hasEnhancedStatus: true, isStrict: true,
        endsSessionAtBareLF: false, helpText: "Martlet: HELO EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT")
}
