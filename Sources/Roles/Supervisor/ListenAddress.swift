private import Bytes
package import ControlFiles
private import Glibc

/// One line of a door's file, as `control/smtplisten`: `127.0.0.1:2525`, `[::1]:2525` or `unix:/path`. Port 0 takes any free one.
package enum ListenAddress: Equatable, Sendable {
    case ip4(address: [UInt8], port: UInt16)
    case ip6(address: [UInt8], port: UInt16)
    case unix(path: String)

    /// - Returns: nil when the line is none of the three.
    package init?(_ line: [UInt8]) {
        if line.hasPrefixIgnoringCase("unix:") {
            let path = line.dropFirst(5)
            guard path.first == ASCII.slash, path.count < MemoryLayout<sockaddr_un>.size - 2, !path.contains(ASCII.nul) else { return nil }
            self = .unix(path: path.text)
            return
        }
        guard let colon = line.lastIndex(of: ASCII.colon),
            let port = parseDecimal(line[(colon + 1)...], maxDigits: 5).flatMap(UInt16.init(exactly:))
        else { return nil }
        let host = line[..<colon]
        if host.first == ASCII.leftBracket, host.last == ASCII.rightBracket, host.count > 2 {
            guard let bytes = Self.numeric(host.dropFirst().dropLast(), AF_INET6, size: 16) else { return nil }
            self = .ip6(address: bytes, port: port)
        } else {
            guard let bytes = Self.numeric(host, AF_INET, size: 4) else { return nil }
            self = .ip4(address: bytes, port: port)
        }
    }

    private static func numeric(_ text: ArraySlice<UInt8>, _ family: Int32, size: Int) -> [UInt8]? {
        guard !text.contains(ASCII.nul) else { return nil }
        var bytes = [UInt8](repeating: 0, count: size)
        return inet_pton(family, text.text, &bytes) == 1 ? bytes : nil
    }

    /// All interfaces at port 25 for root; else a port that needs no privilege, reachable from this host only.
    package static func defaults(isPrivileged: Bool) -> [String] {
        isPrivileged ? ["0.0.0.0:25", "[::]:25"] : ["127.0.0.1:2525"]
    }

    /// - Returns: each address with the line it came from; nil without the file.
    package static func read(_ control: ControlDirectory, _ file: String) throws -> [(name: String, address: ListenAddress)]? {
        guard let bytes = try control.bytes(file) else { return nil }
        return try ControlDirectory.entries(bytes).map { number, text in
            guard let address = ListenAddress(text) else {
                throw ControlFileError(
                    file: control.file(file), line: number, problem: "write ADDRESS:PORT, [IPV6ADDRESS]:PORT or unix:/PATH")
            }
            return (text.text, address)
        }
    }
}
