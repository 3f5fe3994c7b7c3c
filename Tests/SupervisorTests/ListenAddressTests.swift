import Supervisor
import Testing

struct ListenAddressTests {
    @Test(arguments: [
        ("127.0.0.1:2525", ListenAddress.ip4(address: [127, 0, 0, 1], port: 2525)),
        ("0.0.0.0:25", .ip4(address: [0, 0, 0, 0], port: 25)),
        ("127.0.0.1:0", .ip4(address: [127, 0, 0, 1], port: 0)),
        ("[::1]:65535", .ip6(address: [UInt8](repeating: 0, count: 15) + [1], port: 65535)),
        ("[::]:25", .ip6(address: [UInt8](repeating: 0, count: 16), port: 25)),
        ("unix:/run/mail", .unix(path: "/run/mail")),
    ])
    func success(line: String, address: ListenAddress) {
        #expect(ListenAddress(Array(line.utf8)) == address)
    }

    @Test(arguments: [
        "", ":", ":25", "25", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:+25", "127.0.0.1:-1", "127.0.0.1: 25", "127.0.0:25",
        "127.0.0.1.1:25", "::1:25", "[::1]", "[::1:25", "[]:25", "[127.0.0.1]:25", "localhost:25", "127.0.0.1\0:25", "unix:", "unix:relative",
        "unix:/" + String(repeating: "x", count: 108), "127.0.0.1:99999999999999999999",
    ])
    func failure(line: String) {
        #expect(ListenAddress(Array(line.utf8)) == nil)
    }
}
