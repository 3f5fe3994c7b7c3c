package import Addresses
private import Bytes

/// `run/dns`, stream: smtpd and remote ask the dns role.
package enum NameLookup {
    package enum Kind: UInt8, Sendable {
        /// RFC 5321 §5.1: the MX records of a name.
        case exchangers = 1
        /// A and AAAA together.
        case addresses = 2
        /// TXT.
        case texts = 3
    }

    package struct Question: Hashable, Sendable {
        package var token: UInt32
        package var kind: Kind
        /// ASCII, without a dot at the end.
        package var name: ArraySlice<UInt8>

        package static let maxLength = 512

        package init(token: UInt32, kind: Kind, name: ArraySlice<UInt8>) {
            self.token = token
            self.kind = kind
            self.name = name
        }

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            guard let kind = Kind(rawValue: frame.type) else { throw .unknownType(frame.type) }
            guard let token = reader.number(UInt32.self), let name = reader.counted(), name.count <= 255, reader.isAtEnd
            else { throw .malformed(frame.type) }
            self.init(token: token, kind: kind, name: name)
        }

        package func encode(into output: inout [UInt8]) {
            output.append(frame: kind.rawValue) {
                $0.append(number: token)
                $0.append(counted: name)
            }
        }
    }

    package struct Exchanger: Hashable, Sendable {
        package var preference: UInt16
        /// Without a dot at the end; empty for the null MX (RFC 7505).
        package var name: ArraySlice<UInt8>

        package init(preference: UInt16, name: ArraySlice<UInt8>) {
            self.preference = preference
            self.name = name
        }
    }

    package enum Result: Equatable, Sendable {
        /// In preference order is not promised. Never empty.
        case exchangers([Exchanger])
        case addresses([IPAddress])
        /// The strings of each record put together (RFC 1035 §3.3.14). Never empty; each of at most ``maxText`` bytes.
        case texts([ArraySlice<UInt8>])
        /// NXDOMAIN.
        case noSuchName
        /// The name exists, without records of this kind.
        case noData
        /// SERVFAIL, time-out, or an answer beyond the caps.
        case temporaryFailure

        package static let maxText = 4096
        /// What fits an answer.
        package static let maxTexts = 14
    }

    package struct Answer: Equatable, Sendable {
        package var token: UInt32
        package var result: Result

        package static let maxLength = 64 * 1024

        package init(token: UInt32, result: Result) {
            self.token = token
            self.result = result
        }

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            guard let token = reader.number(UInt32.self) else { throw .malformed(frame.type) }
            self.token = token
            switch frame.type {
            case 65:
                var exchangers: [Exchanger] = []
                while !reader.isAtEnd {
                    guard let preference = reader.number(UInt16.self), let name = reader.counted() else { throw .malformed(65) }
                    exchangers.append(Exchanger(preference: preference, name: name))
                }
                result = .exchangers(exchangers)
            case 66:
                var addresses: [IPAddress] = []
                while !reader.isAtEnd {
                    guard let bytes = reader.counted(), let address = IPAddress(bytes) else { throw .malformed(66) }
                    addresses.append(address)
                }
                result = .addresses(addresses)
            case 70:
                var texts: [ArraySlice<UInt8>] = []
                while !reader.isAtEnd {
                    guard let text = reader.counted() else { throw .malformed(70) }
                    texts.append(text)
                }
                result = .texts(texts)
            case 67: result = .noSuchName
            case 68: result = .noData
            case 69: result = .temporaryFailure
            default: throw .unknownType(frame.type)
            }
            guard reader.isAtEnd else { throw .malformed(frame.type) }
        }

        package func encode(into output: inout [UInt8]) {
            let type: UInt8 =
                switch result {
                case .exchangers: 65
                case .addresses: 66
                case .texts: 70
                case .noSuchName: 67
                case .noData: 68
                case .temporaryFailure: 69
                }
            output.append(frame: type) {
                $0.append(number: token)
                switch result {
                case .exchangers(let exchangers):
                    for exchanger in exchangers {
                        $0.append(number: exchanger.preference)
                        $0.append(counted: exchanger.name)
                    }
                case .addresses(let addresses):
                    for address in addresses { $0.append(counted: address.bytes) }
                case .texts(let texts): for text in texts { $0.append(counted: text) }
                case .noSuchName, .noData, .temporaryFailure: break
                }
            }
        }
    }
}
