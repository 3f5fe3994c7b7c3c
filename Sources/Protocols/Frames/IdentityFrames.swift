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
    /// Shares its uid with others: its worker locks itself into ``home`` and runs no programs.
    package var isConfined: Bool

    package init(
        name: ArraySlice<UInt8>, uid: UInt32, gid: UInt32, home: ArraySlice<UInt8>, dash: ArraySlice<UInt8>, ext: ArraySlice<UInt8>,
        isConfined: Bool = false
    ) {
        self.name = name
        self.uid = uid
        self.gid = gid
        self.home = home
        self.dash = dash
        self.ext = ext
        self.isConfined = isConfined
    }
}

/// `run/identity`, SEQPACKET, lspawn asks route; only lspawn may enter its directory. Route in turn has a user's delivery worker looked for a
/// `.qmail` (``Probe``), which only lspawn can start.
package enum Identity {
    /// From lspawn.
    package enum Request: Equatable, Sendable {
        /// Who controls this recipient, as rewritten? Both sides of its last `@`.
        case question(token: UInt32, localPart: ArraySlice<UInt8>, domain: ArraySlice<UInt8>)
        /// What the worker said that a ``Probe`` was for; its token.
        case verdict(token: UInt32, Route.Verdict)

        package init(_ frame: Frame) throws(FrameError) {
            var reader = ByteReader(frame.payload)
            guard let token = reader.number(UInt32.self) else { throw .malformed(frame.type) }
            switch frame.type {
            case 1:
                guard let localPart = reader.counted(), let domain = reader.counted(), reader.isAtEnd else { throw .malformed(1) }
                self = .question(token: token, localPart: localPart, domain: domain)
            case 2:
                guard let code = reader.byte(), let verdict = Route.Verdict(rawValue: code), reader.isAtEnd else { throw .malformed(2) }
                self = .verdict(token: token, verdict)
            default: throw .unknownType(frame.type)
            }
        }
    }

    /// From route: does the user have a `.qmail` for this extension?
    package struct Probe: Equatable, Sendable {
        package var token: UInt32
        package var user: LocalUser

        package init(token: UInt32, user: LocalUser) {
            self.token = token
            self.user = user
        }

        package func encode() -> [UInt8] {
            var packet: [UInt8] = [67]
            packet.append(number: token)
            packet.append(number: user.uid)
            packet.append(number: user.gid)
            packet.append(user.isConfined ? 1 : 0)
            for field in [user.home, user.dash, user.ext] { packet.append(counted: field) }
            return packet
        }
    }

    /// From route.
    package enum Answer: Equatable, Sendable {
        /// With what delivery needs of the control files.
        case user(token: UInt32, LocalUser, DeliverySettings)
        /// Ends the delivery with this report.
        case nobody(token: UInt32, DeliveryReport)

        package func encode() -> [UInt8] {
            var packet: [UInt8] = []
            switch self {
            case .user(let token, let user, let settings):
                packet.append(65)
                packet.append(number: token)
                packet.append(number: user.uid)
                packet.append(number: user.gid)
                packet.append(number: settings.programSeconds)
                packet.append(user.isConfined ? 1 : 0)
                for field in [user.name, user.home, user.dash, user.ext, settings.defaultDelivery, settings.quota] { packet.append(counted: field) }
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

/// What a delivery worker, which runs as a user, is told of the control files.
package struct DeliverySettings: Equatable, Sendable {
    /// `control/defaultdelivery`: lines to deliver by when the user has no `.qmail`.
    package var defaultDelivery: ArraySlice<UInt8>
    /// `control/timeoutlocal`: how long a program may run; 0 = without end.
    package var programSeconds: UInt32
    /// What the Maildir may hold, as Maildir++ writes it (`1000000S,1000C`); empty: as much as there is room for.
    package var quota: ArraySlice<UInt8>

    package init(defaultDelivery: ArraySlice<UInt8>, programSeconds: UInt32, quota: ArraySlice<UInt8> = []) {
        self.defaultDelivery = defaultDelivery
        self.programSeconds = programSeconds
        self.quota = quota
    }
}
