private import Bytes

/// Who controls a local address (spec-qmail §6.2), as route tells lspawn.
package struct LocalUser: Equatable, Sendable {
    package var name: ArraySlice<UInt8>
    package var uid: UInt32
    package var gid: UInt32
    package var home: ArraySlice<UInt8>
    /// `-` or empty; with ``ext`` it names the `.qmail` file.
    package var dash: ArraySlice<UInt8>
    package var ext: ArraySlice<UInt8>

    package init(
        name: ArraySlice<UInt8>, uid: UInt32, gid: UInt32, home: ArraySlice<UInt8>, dash: ArraySlice<UInt8>, ext: ArraySlice<UInt8>
    ) {
        self.name = name
        self.uid = uid
        self.gid = gid
        self.home = home
        self.dash = dash
        self.ext = ext
    }
}

/// `run/identity`, SEQPACKET, lspawn asks route. Only lspawn may enter its directory.
package enum Identity {
    package struct Question: Equatable, Sendable {
        package var token: UInt32
        /// The recipient before its last `@`.
        package var localPart: ArraySlice<UInt8>

        package init(token: UInt32, localPart: ArraySlice<UInt8>) {
            self.token = token
            self.localPart = localPart
        }

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            guard frame.type == 1 else { throw .unknownType(frame.type) }
            guard let token = reader.number(UInt32.self), let localPart = reader.counted(), reader.isAtEnd else { throw .malformed(1) }
            self.init(token: token, localPart: localPart)
        }

        package func encode() -> [UInt8] {
            var packet: [UInt8] = [1]
            packet.append(number: token)
            packet.append(counted: localPart)
            return packet
        }
    }

    package enum Answer: Equatable, Sendable {
        /// `defaultDelivery` is the text of `control/defaultdelivery`, for users without a `.qmail`.
        case user(token: UInt32, LocalUser, defaultDelivery: ArraySlice<UInt8>)
        /// Ends the delivery with this report.
        case nobody(token: UInt32, DeliveryReport)

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            guard let token = reader.number(UInt32.self) else { throw .malformed(frame.type) }
            switch frame.type {
            case 65:
                guard let uid = reader.number(UInt32.self), let gid = reader.number(UInt32.self), let name = reader.counted(),
                    let home = reader.counted(), let dash = reader.counted(), let ext = reader.counted(),
                    let defaultDelivery = reader.counted(), reader.isAtEnd
                else { throw .malformed(65) }
                self = .user(
                    token: token, LocalUser(name: name, uid: uid, gid: gid, home: home, dash: dash, ext: ext), defaultDelivery: defaultDelivery)
            case 66:
                guard let letter = reader.byte(), let outcome = DeliveryReport.Outcome(rawValue: letter), let text = reader.counted(), reader.isAtEnd
                else { throw .malformed(66) }
                self = .nobody(token: token, DeliveryReport(outcome, text))
            default: throw .unknownType(frame.type)
            }
        }

        package func encode() -> [UInt8] {
            var packet: [UInt8] = []
            switch self {
            case .user(let token, let user, let defaultDelivery):
                packet.append(65)
                packet.append(number: token)
                packet.append(number: user.uid)
                packet.append(number: user.gid)
                for field in [user.name, user.home, user.dash, user.ext, defaultDelivery] { packet.append(counted: field) }
            case .nobody(let token, let report):
                packet.append(66)
                packet.append(number: token)
                packet.append(report.outcome.rawValue)
                packet.append(counted: report.text)
            }
            return packet
        }
    }
}
