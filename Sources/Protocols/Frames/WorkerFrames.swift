package import Addresses
private import Bytes

/// lspawn to a delivery worker, SEQPACKET on the worker's descriptor 0: what `qmail-local` takes as arguments (spec-qmail §7.1), with a descriptor of the message.
/// The worker answers with ``Delivery/Answer``, one report a request. Its (uid, gid, home) were fixed when it was started, its working directory is the home.
package struct WorkerRequest: Equatable, Sendable {
    package var slot: UInt32
    package var user: ArraySlice<UInt8>
    package var home: ArraySlice<UInt8>
    package var localPart: ArraySlice<UInt8>
    package var dash: ArraySlice<UInt8>
    package var ext: ArraySlice<UInt8>
    package var domain: ArraySlice<UInt8>
    package var sender: Address
    package var settings: DeliverySettings

    package init(
        slot: UInt32, user: ArraySlice<UInt8>, home: ArraySlice<UInt8>, localPart: ArraySlice<UInt8>, dash: ArraySlice<UInt8>,
        ext: ArraySlice<UInt8>, domain: ArraySlice<UInt8>, sender: Address, settings: DeliverySettings
    ) {
        self.slot = slot
        self.user = user
        self.home = home
        self.localPart = localPart
        self.dash = dash
        self.ext = ext
        self.domain = domain
        self.sender = sender
        self.settings = settings
    }

    package init(_ frame: Frame) throws(FrameError) {
        var reader = ByteReader(frame.payload)
        guard frame.type == 1 else { throw .unknownType(frame.type) }
        guard let slot = reader.number(UInt32.self), let programSeconds = reader.number(UInt32.self), let user = reader.counted(),
            let home = reader.counted(), let localPart = reader.counted(),
            let dash = reader.counted(), let ext = reader.counted(), let domain = reader.counted(), let sender = reader.address(),
            let defaultDelivery = reader.counted(), let quota = reader.counted(), reader.isAtEnd
        else { throw .malformed(1) }
        self.init(
            slot: slot, user: user, home: home, localPart: localPart, dash: dash, ext: ext, domain: domain, sender: sender,
            settings: DeliverySettings(defaultDelivery: defaultDelivery, programSeconds: programSeconds, quota: quota))
    }

    package func encode() -> [UInt8] {
        var packet: [UInt8] = [1]
        packet.append(number: slot)
        packet.append(number: settings.programSeconds)
        for field in [user, home, localPart, dash, ext, domain, sender.bytes[...], settings.defaultDelivery, settings.quota] {
            packet.append(counted: field)
        }
        return packet
    }
}

/// lspawn to a delivery worker: is there a `.qmail` for this extension? No mail comes of it.
package struct WorkerProbe: Equatable, Sendable {
    package var token: UInt32
    package var home: ArraySlice<UInt8>
    package var dash: ArraySlice<UInt8>
    package var ext: ArraySlice<UInt8>

    package static let type: UInt8 = 2

    package init(_ frame: Frame) throws(FrameError) {
        var reader = ByteReader(frame.payload)
        guard frame.type == Self.type else { throw .unknownType(frame.type) }
        guard let token = reader.number(UInt32.self), let home = reader.counted(), let dash = reader.counted(), let ext = reader.counted(),
            reader.isAtEnd
        else { throw .malformed(Self.type) }
        self.token = token
        self.home = home
        self.dash = dash
        self.ext = ext
    }

    /// The worker's answer.
    package func answer(_ verdict: Route.Verdict) -> [UInt8] {
        var packet: [UInt8] = [67]
        packet.append(number: token)
        packet.append(verdict.rawValue)
        return packet
    }
}
