package import Frames

/// Why a message was not queued, as clients of qmail-queue tell it (spec-qmail §3.2).
package struct InjectionFailure: Error, Equatable {
    /// Whether the same message would be refused again: exit 100, SMTP 554.
    package let isPermanent: Bool
    /// One line without line end.
    package let text: String

    package init(isPermanent: Bool, text: String) {
        self.isPermanent = isPermanent
        self.text = text
    }

    package init(_ refusal: QueueRefusal) { self.init(isPermanent: refusal.isPermanent, text: refusal.text) }

    /// What qmail-queue, or a program in its place, said by its exit code.
    /// - Parameter custom: what it wrote as its own text, the class letter in front (exit code 82).
    package init(exitCode: Int32, custom: [UInt8] = []) {
        if exitCode == 82, custom.count >= 3, custom[0] == UInt8(ascii: "D") || custom[0] == UInt8(ascii: "Z") {
            self.init(isPermanent: custom[0] == UInt8(ascii: "D"), text: InjectionFailure.line(custom.dropFirst()))
        } else if let text = InjectionFailure.texts[exitCode] {
            self.init(isPermanent: exitCode == 115, text: text)
        } else if let code = UInt8(exactly: exitCode), let refusal = QueueRefusal(rawValue: code) {
            self.init(refusal)
        } else if (11...40).contains(exitCode) {
            self.init(isPermanent: true, text: "qq permanent problem (#5.3.0)")
        } else {
            self.init(isPermanent: false, text: "qq temporary problem (#4.3.0)")
        }
    }

    package static let crashed = InjectionFailure(isPermanent: false, text: "qq crashed (#4.3.0)")
    package static let waitFailed = InjectionFailure(isPermanent: false, text: "qq waitpid surprise (#4.3.0)")
    /// The message cannot be read to its end.
    package static let cannotRead = InjectionFailure(.readError)
    /// There is no qmail-queue to say anything.
    package static let notStarted = InjectionFailure(isPermanent: false, text: "unable to run qmail-queue")

    /// Codes that our own queue never gives.
    private static let texts: [Int32: String] = [
        115: QueueRefusal.addressTooLong.text, 62: QueueRefusal.troubleCreatingFiles.text, 64: QueueRefusal.troubleCreatingFiles.text,
        65: QueueRefusal.troubleCreatingFiles.text, 66: QueueRefusal.troubleCreatingFiles.text,
        72: "connection to mail server timed out (#4.4.1)", 73: "connection to mail server rejected (#4.4.1)",
        74: "communication with mail server failed (#4.4.2)", 81: QueueRefusal.badEnvelope.text, 120: "unable to exec qq (#4.3.0)",
    ]

    /// Up to the first LF, controls as `?`: the text becomes one line of a reply or of stderr.
    private static func line(_ bytes: ArraySlice<UInt8>) -> String {
        let visible = bytes.prefix { $0 != 0x0A && $0 != 0 }.map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: "?") : $0 }
        return String(decoding: visible, as: UTF8.self)
    }
}
