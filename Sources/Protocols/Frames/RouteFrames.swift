package import Addresses
private import Bytes

/// `run/route`, stream: smtpd asks whether a recipient exists.
package enum Route {
    package struct Question: Equatable, Sendable {
        package var token: UInt32
        package var recipient: Address

        package static let maxLength = 2048

        package init(token: UInt32, recipient: Address) {
            self.token = token
            self.recipient = recipient
        }

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            guard frame.type == 1 else { throw .unknownType(frame.type) }
            guard let token = reader.number(UInt32.self), let recipient = reader.address(), reader.isAtEnd else { throw .malformed(1) }
            self.init(token: token, recipient: recipient)
        }

        package func encode(into output: inout [UInt8]) {
            output.append(frame: 1) {
                $0.append(number: token)
                $0.append(counted: recipient.bytes)
            }
        }
    }

    package enum Verdict: UInt8, Sendable {
        /// Only delivery will tell: an extension that lives in a user's home, or an address elsewhere.
        case unknown = 0
        case exists = 1
        case nonexistent = 2
    }

    package struct Answer: Equatable, Sendable {
        package var token: UInt32
        package var verdict: Verdict

        package static let maxLength = 16

        package init(token: UInt32, verdict: Verdict) {
            self.token = token
            self.verdict = verdict
        }

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            guard frame.type == 65 else { throw .unknownType(frame.type) }
            guard let token = reader.number(UInt32.self), let code = reader.byte(), let verdict = Verdict(rawValue: code), reader.isAtEnd
            else { throw .malformed(65) }
            self.init(token: token, verdict: verdict)
        }

        package func encode(into output: inout [UInt8]) {
            output.append(frame: 65) {
                $0.append(number: token)
                $0.append(verdict.rawValue)
            }
        }
    }
}
