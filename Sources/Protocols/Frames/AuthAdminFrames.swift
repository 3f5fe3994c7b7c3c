private import Bytes

/// `run/auth-admin`, stream: the administrator sees and changes who is refused at logins.
package enum AuthAdmin {
    /// What failures are counted by.
    package enum Subject: Hashable, Sendable {
        /// 4 or 16 bytes, of which so many bits count.
        case network([UInt8], bits: UInt8)
        case account([UInt8])
        /// An account where it has logged in before.
        case familiar(account: [UInt8], network: [UInt8], bits: UInt8)
    }

    package enum Request: Equatable, Sendable {
        case list
        /// - seconds: 0 until it is released.
        case ban(Subject, seconds: UInt32)
        case release(Subject)

        package static let maxLength = 4096

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            switch frame.type {
            case 1: self = .list
            case 2:
                guard let seconds = reader.number(UInt32.self), let subject = reader.subject() else { throw .malformed(2) }
                self = .ban(subject, seconds: seconds)
            case 3:
                guard let subject = reader.subject() else { throw .malformed(3) }
                self = .release(subject)
            default: throw .unknownType(frame.type)
            }
            guard reader.isAtEnd else { throw .malformed(frame.type) }
        }

        package func encode(into output: inout [UInt8]) {
            switch self {
            case .list: output.append(frame: 1) { _ in }
            case .ban(let subject, let seconds):
                output.append(frame: 2) {
                    $0.append(number: seconds)
                    $0.append(subject)
                }
            case .release(let subject): output.append(frame: 3) { $0.append(subject) }
            }
        }
    }

    package struct Entry: Equatable, Sendable {
        package var subject: Subject
        package var failures: UInt32
        /// Seconds; 0 when it is not refused, nil until it is released.
        package var refusedFor: UInt64?

        package init(subject: Subject, failures: UInt32, refusedFor: UInt64?) {
            self.subject = subject
            self.failures = failures
            self.refusedFor = refusedFor
        }
    }

    package enum Answer: Equatable, Sendable {
        case entry(Entry)
        /// Behind the entries, or alone when a request was carried out.
        case end
        /// Nothing is known of the one to be released.
        case unknown
        /// Only root and auth's own account may change anything.
        case refused

        package static let maxLength = 4096

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            switch frame.type {
            case 65:
                guard let failures = reader.number(UInt32.self), let refused = reader.number(UInt64.self), let subject = reader.subject() else {
                    throw .malformed(65)
                }
                self = .entry(Entry(subject: subject, failures: failures, refusedFor: refused == .max ? nil : refused))
            case 66: self = .end
            case 67: self = .unknown
            case 68: self = .refused
            default: throw .unknownType(frame.type)
            }
            guard reader.isAtEnd else { throw .malformed(frame.type) }
        }

        package func encode(into output: inout [UInt8]) {
            switch self {
            case .entry(let entry):
                output.append(frame: 65) {
                    $0.append(number: entry.failures)
                    $0.append(number: entry.refusedFor ?? .max)
                    $0.append(entry.subject)
                }
            case .end: output.append(frame: 66) { _ in }
            case .unknown: output.append(frame: 67) { _ in }
            case .refused: output.append(frame: 68) { _ in }
            }
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ subject: AuthAdmin.Subject) {
        switch subject {
        case .network(let address, let bits):
            append(1)
            append(bits)
            append(counted: address)
        case .account(let name):
            append(2)
            append(counted: name)
        case .familiar(let account, let address, let bits):
            append(3)
            append(bits)
            append(counted: address)
            append(counted: account)
        }
    }
}

extension ByteReader {
    fileprivate mutating func subject() -> AuthAdmin.Subject? {
        switch byte() {
        case 1: network().map { .network($0, bits: $1) }
        case 2: counted().map { .account(Array($0)) }
        case 3:
            if let (address, bits) = network(), let account = counted() {
                .familiar(account: Array(account), network: address, bits: bits)
            } else {
                nil
            }
        default: nil
        }
    }

    private mutating func network() -> (address: [UInt8], bits: UInt8)? {
        guard let bits = byte(), let address = counted(), address.count == 4 || address.count == 16, Int(bits) <= address.count * 8 else {
            return nil
        }
        return (Array(address), bits)
    }
}
