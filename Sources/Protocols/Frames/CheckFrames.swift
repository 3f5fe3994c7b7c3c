private import Bytes

/// auth to `martlet-authcheck` and back, on a SEQPACKET socket of their own: one question, one answer.
package enum Check {
    package enum Method: UInt8, Sendable {
        /// PAM where the system knows a service of ours, shadow otherwise.
        case system = 1
        case pam = 2
        case shadow = 3
        /// A program with checkpassword's interface (spec-qmail §16.2).
        case program = 4
    }

    package struct Question: Equatable, Sendable {
        package var method: Method
        package var service: Login.Service
        /// Absolute; empty with other methods.
        package var program: ArraySlice<UInt8>
        package var login: ArraySlice<UInt8>
        /// What the program gets as password: a digest too.
        package var password: ArraySlice<UInt8>
        /// What a digest was made over; empty without one.
        package var timestamp: ArraySlice<UInt8>
        /// Of the client, in text; for the log of PAM.
        package var address: ArraySlice<UInt8>

        package static let maxLength = 8192

        package init(
            _ method: Method, _ service: Login.Service, program: ArraySlice<UInt8> = [], login: ArraySlice<UInt8>, password: ArraySlice<UInt8>,
            timestamp: ArraySlice<UInt8> = [], address: ArraySlice<UInt8> = []
        ) {
            self.method = method
            self.service = service
            self.program = program
            self.login = login
            self.password = password
            self.timestamp = timestamp
            self.address = address
        }

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            guard frame.type == 1 else { throw .unknownType(frame.type) }
            guard let method = reader.byte().flatMap(Method.init), let service = reader.byte().flatMap(Login.Service.init),
                let program = reader.counted(), let login = reader.counted(), let password = reader.counted(), let timestamp = reader.counted(),
                let address = reader.counted(), reader.isAtEnd
            else { throw .malformed(1) }
            self.init(method, service, program: program, login: login, password: password, timestamp: timestamp, address: address)
        }

        package func encode() -> [UInt8] {
            var packet: [UInt8] = [1, method.rawValue, service.rawValue]
            for field in [program, login, password, timestamp, address] { packet.append(counted: field) }
            return packet
        }
    }

    package enum Answer: Equatable, Sendable {
        /// - user: the account's name as the back end has it.
        /// - home: absolute.
        case identity(uid: UInt32, gid: UInt32, user: ArraySlice<UInt8>, home: ArraySlice<UInt8>)
        case denied
        /// - text: for the log; never anything of the question.
        case trouble(ArraySlice<UInt8>)

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            switch frame.type {
            case 65:
                guard let uid = reader.number(UInt32.self), let gid = reader.number(UInt32.self), let user = reader.counted(),
                    let home = reader.counted(), reader.isAtEnd
                else { throw .malformed(65) }
                self = .identity(uid: uid, gid: gid, user: user, home: home)
            case 66:
                guard reader.isAtEnd else { throw .malformed(66) }
                self = .denied
            case 67: self = .trouble(reader.remainder())
            default: throw .unknownType(frame.type)
            }
        }

        package func encode() -> [UInt8] {
            switch self {
            case .identity(let uid, let gid, let user, let home):
                var packet: [UInt8] = [65]
                packet.append(number: uid)
                packet.append(number: gid)
                packet.append(counted: user)
                packet.append(counted: home)
                return packet
            case .denied: return [66]
            case .trouble(let text): return [67] + text.prefix(512)
            }
        }
    }
}
