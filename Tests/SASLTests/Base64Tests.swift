import Bytes
import SASL
import Testing

struct Base64Tests {
    /// RFC 4648 §10.
    @Test(arguments: [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")])
    func vectors(_ plain: String, _ encoded: String) {
        #expect(Base64.encode(bytes(plain)) == bytes(encoded))
        #expect(Base64.decode(bytes(encoded)) == bytes(plain))
    }

    @Test(arguments: ["Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "====", "=", "Z===", "Zg==Zg==", "Zm9v\r\n", "Zm 9", "Zm9*", "Zm-_", "Zg=g"])
    func notBase64(_ text: String) { #expect(Base64.decode(bytes(text)) == nil) }

    @Test func allBytes() {
        let all = [UInt8](0...255)
        #expect(Base64.decode(Base64.encode(all)) == all)
    }
}
