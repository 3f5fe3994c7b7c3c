private import Bytes

/// `run/keys`, stream: smtpd and access have a TLS handshake signed. The private key never leaves role keys.
package enum Signing {
    package struct Request: Equatable, Sendable {
        package var token: UInt32
        /// Which key: the name of its folder below `tls/`.
        package var certificate: ArraySlice<UInt8>
        /// TLS SignatureScheme (RFC 8446 §4.2.3).
        package var scheme: UInt16
        /// What is to be signed, not hashed yet.
        package var bytes: ArraySlice<UInt8>

        package static let maxLength = 1 << 15

        package init(token: UInt32, certificate: ArraySlice<UInt8>, scheme: UInt16, bytes: ArraySlice<UInt8>) {
            self.token = token
            self.certificate = certificate
            self.scheme = scheme
            self.bytes = bytes
        }

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            guard frame.type == 1 else { throw .unknownType(frame.type) }
            guard let token = reader.number(UInt32.self), let scheme = reader.number(UInt16.self), let certificate = reader.counted() else {
                throw .malformed(1)
            }
            self.init(token: token, certificate: certificate, scheme: scheme, bytes: reader.remainder())
        }

        package func encode(into output: inout [UInt8]) {
            output.append(frame: 1) {
                $0.append(number: token)
                $0.append(number: scheme)
                $0.append(counted: certificate)
                $0.append(contentsOf: bytes)
            }
        }
    }

    package enum Answer: Equatable, Sendable {
        case signature(token: UInt32, ArraySlice<UInt8>)
        /// There is no such key, or it cannot sign by that scheme: the handshake fails.
        case refused(token: UInt32)

        package static let maxLength = 4096

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            guard let token = reader.number(UInt32.self) else { throw .malformed(frame.type) }
            switch frame.type {
            case 65: self = .signature(token: token, reader.remainder())
            case 66:
                guard reader.isAtEnd else { throw .malformed(66) }
                self = .refused(token: token)
            default: throw .unknownType(frame.type)
            }
        }

        package func encode(into output: inout [UInt8]) {
            switch self {
            case .signature(let token, let bytes):
                output.append(frame: 65) {
                    $0.append(number: token)
                    $0.append(contentsOf: bytes)
                }
            case .refused(let token): output.append(frame: 66) { $0.append(number: token) }
            }
        }
    }
}
