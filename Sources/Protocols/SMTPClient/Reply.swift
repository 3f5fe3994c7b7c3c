/// A server's answer, all its lines (RFC 5321 §4.2).
package struct Reply: Equatable, Sendable {
    /// 200…599; any three digits where ``Profile`` is qmail's.
    package var code: Int
    /// The lines with their codes, each ended by LF, as a report quotes them: CR removed, other control bytes shown as `?`
    /// (spec-qmail §14.2 does so with NUL), cut at ``ReplyParser/Limits/kept``.
    package var text: [UInt8]

    package init(code: Int, text: [UInt8]) {
        self.code = code
        self.text = text
    }

    package enum Class: Sendable {
        case success
        /// 3xx: go on with the content. qmail takes it for success anywhere (spec-qmail §14.2); here it is one where it is due only, or a reply
        /// too many in a pipelined dialogue would make 354 the verdict on a message.
        case intermediate
        case temporaryFailure
        case permanentFailure
    }

    package var `class`: Class {
        switch code {
        case ..<300: .success
        case ..<400: .intermediate
        case ..<500: .temporaryFailure
        default: .permanentFailure
        }
    }

    /// The server is about to close (RFC 5321 §3.8).
    package var closesConnection: Bool { code == 421 }
}
