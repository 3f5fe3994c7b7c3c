package import Addresses
private import Bytes

/// `run/auth`, stream: smtpd and access let auth decide who a client is, and smtpd what an account may send.
///
/// SASL (RFC 4422) runs in auth: the asker only carries challenges and responses, after base64. Tokens are the asker's; one names an exchange from
/// ``Request/begin`` to its end, which is ``Answer/success`` or ``Answer/failure``.
package enum Login {
    /// What a login is for.
    package enum Service: UInt8, Sendable, CaseIterable {
        case submission = 1
        case pop3 = 2
        case imap = 3
        case web = 4
    }

    /// Where the client comes from, for throttling and for what may be offered without encryption.
    package struct Origin: Equatable, Sendable {
        /// 4 or 16 bytes; none on a UNIX socket.
        package var address: ArraySlice<UInt8>
        package var isEncrypted: Bool

        package init(address: ArraySlice<UInt8>, isEncrypted: Bool) {
            self.address = address
            self.isEncrypted = isEncrypted
        }
    }

    package enum Request: Equatable, Sendable {
        /// Mechanism: in upper case as registered; `APOP` is treated as one, its initial response being `login SP digest` and ``binding`` the timestamp.
        case begin(token: UInt32, Service, Origin, mechanism: ArraySlice<UInt8>, binding: ArraySlice<UInt8>, initial: ArraySlice<UInt8>?)
        case respond(token: UInt32, ArraySlice<UInt8>)
        /// The client gave up, or is gone.
        case cancel(token: UInt32)
        /// May the account, as ``Answer/success`` named it, send one more message with this envelope sender?
        case permit(token: UInt32, account: ArraySlice<UInt8>, sender: Address)
        /// May the account send a message to so many recipients, now that it comes? What is granted is used up, whatever becomes of the message.
        case charge(token: UInt32, account: ArraySlice<UInt8>, recipients: UInt32)

        package static let maxLength = 1 << 15

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            switch frame.type {
            case 1:
                guard let token = reader.number(UInt32.self), let code = reader.byte(), let service = Service(rawValue: code),
                    let encrypted = reader.byte(), encrypted <= 1, let address = reader.counted(), [0, 4, 16].contains(address.count),
                    let mechanism = reader.counted(), let binding = reader.counted(), let hasInitial = reader.byte(), hasInitial <= 1
                else { throw .malformed(1) }
                let rest = reader.remainder()
                guard hasInitial == 1 || rest.isEmpty else { throw .malformed(1) }
                self = .begin(
                    token: token, service, Origin(address: address, isEncrypted: encrypted == 1), mechanism: mechanism, binding: binding,
                    initial: hasInitial == 1 ? rest : nil)
            case 2:
                guard let token = reader.number(UInt32.self) else { throw .malformed(2) }
                self = .respond(token: token, reader.remainder())
            case 3:
                guard let token = reader.number(UInt32.self), reader.isAtEnd else { throw .malformed(3) }
                self = .cancel(token: token)
            case 4:
                guard let token = reader.number(UInt32.self), let account = reader.counted(), let sender = reader.address(), reader.isAtEnd else {
                    throw .malformed(4)
                }
                self = .permit(token: token, account: account, sender: sender)
            case 5:
                guard let token = reader.number(UInt32.self), let recipients = reader.number(UInt32.self), let account = reader.counted(),
                    reader.isAtEnd
                else { throw .malformed(5) }
                self = .charge(token: token, account: account, recipients: recipients)
            default: throw .unknownType(frame.type)
            }
        }

        package func encode(into output: inout [UInt8]) {
            switch self {
            case .begin(let token, let service, let origin, let mechanism, let binding, let initial):
                output.append(frame: 1) {
                    $0.append(number: token)
                    $0.append(service.rawValue)
                    $0.append(origin.isEncrypted ? 1 : 0)
                    $0.append(counted: origin.address)
                    $0.append(counted: mechanism)
                    $0.append(counted: binding)
                    $0.append(initial == nil ? 0 : 1)
                    if let initial { $0.append(contentsOf: initial) }
                }
            case .respond(let token, let bytes):
                output.append(frame: 2) {
                    $0.append(number: token)
                    $0.append(contentsOf: bytes)
                }
            case .cancel(let token): output.append(frame: 3) { $0.append(number: token) }
            case .permit(let token, let account, let sender):
                output.append(frame: 4) {
                    $0.append(number: token)
                    $0.append(counted: account)
                    $0.append(counted: sender.bytes)
                }
            case .charge(let token, let account, let recipients):
                output.append(frame: 5) {
                    $0.append(number: token)
                    $0.append(number: recipients)
                    $0.append(counted: account)
                }
            }
        }
    }

    package enum Refusal: UInt8, Sendable {
        /// Unknown user and wrong password alike.
        case credentials = 1
        /// Auth or what it asks is out of order; the client may try again.
        case temporary = 2
        /// Too many failures from there, or for that account.
        case throttled = 3
        /// Not offered here: RFC 4954 §4, 504.
        case mechanism = 4
        /// Not before TLS: 538.
        case encryptionNeeded = 5
        /// What the client sent is no message of that mechanism: 501.
        case malformed = 6
    }

    package enum Permission: UInt8, Sendable {
        case granted = 0
        /// The address is not the account's.
        case foreignSender = 1
        /// The account has sent its share for now.
        case limitReached = 2
    }

    package enum Answer: Equatable, Sendable {
        case challenge(token: UInt32, ArraySlice<UInt8>)
        /// - account: the name that permissions and logs go by.
        /// - ticket: opens the mailbox (``Mailbox``), for services that read mail.
        /// - final: what the mechanism has to say with its success, to be carried as a last challenge where the protocol has no place for it.
        case success(token: UInt32, account: ArraySlice<UInt8>, ticket: ArraySlice<UInt8>, final: ArraySlice<UInt8>)
        /// Of an exchange; with ``Refusal/temporary`` also of a question that nobody can answer now.
        case failure(token: UInt32, Refusal)
        /// - recipients: how many the account may still address.
        case permission(token: UInt32, Permission, recipients: UInt32)

        package static let maxLength = 1 << 15

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            guard let token = reader.number(UInt32.self) else { throw .malformed(frame.type) }
            switch frame.type {
            case 65: self = .challenge(token: token, reader.remainder())
            case 66:
                guard let account = reader.counted(), let ticket = reader.counted() else { throw .malformed(66) }
                self = .success(token: token, account: account, ticket: ticket, final: reader.remainder())
            case 67:
                guard let code = reader.byte(), let refusal = Refusal(rawValue: code), reader.isAtEnd else { throw .malformed(67) }
                self = .failure(token: token, refusal)
            case 68:
                guard let code = reader.byte(), let permission = Permission(rawValue: code), let recipients = reader.number(UInt32.self),
                    reader.isAtEnd
                else { throw .malformed(68) }
                self = .permission(token: token, permission, recipients: recipients)
            default: throw .unknownType(frame.type)
            }
        }

        package func encode(into output: inout [UInt8]) {
            switch self {
            case .challenge(let token, let bytes):
                output.append(frame: 65) {
                    $0.append(number: token)
                    $0.append(contentsOf: bytes)
                }
            case .success(let token, let account, let ticket, let final):
                output.append(frame: 66) {
                    $0.append(number: token)
                    $0.append(counted: account)
                    $0.append(counted: ticket)
                    $0.append(contentsOf: final)
                }
            case .failure(let token, let refusal):
                output.append(frame: 67) {
                    $0.append(number: token)
                    $0.append(refusal.rawValue)
                }
            case .permission(let token, let permission, let recipients):
                output.append(frame: 68) {
                    $0.append(number: token)
                    $0.append(permission.rawValue)
                    $0.append(number: recipients)
                }
            }
        }
    }
}
