private import Bytes
private import Glibc

/// crypt(3) as libxcrypt has it: yescrypt, scrypt, bcrypt, sha512crypt and all that came before. Safe from many threads at once; each call costs what the hash
/// is meant to cost (yescrypt: some 10 ms and 16 MiB), so never on an event loop.
package enum PasswordHash {
    package enum Failure: Error, CustomStringConvertible {
        /// Not linked: the programs that hash are few, and it would be loaded by all.
        case noLibrary
        /// libcrypt makes no such hash, or not now.
        case refused(Int32)

        package var description: String {
            switch self {
            case .noLibrary: "libcrypt.so.1 is not there; install it (Debian: libcrypt1)"
            case .refused(let code): "crypt: \(errorText(code))"
            }
        }
    }

    /// What new hashes are made with: yescrypt.
    package static let prefix = "$y$"
    /// Costs as much as the hashes that ``make(_:)`` makes; no password has this one.
    package static let decoy = Array("$y$j9T$decoydecoydecoydecoyd0$".utf8)

    private typealias Crypt =
        @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafeMutableRawPointer, Int32) -> UnsafeMutablePointer<CChar>?
    private typealias MakeSalt =
        @convention(c) (UnsafePointer<CChar>, UInt, UnsafePointer<CChar>, Int32, UnsafeMutablePointer<CChar>, Int32) -> UnsafeMutablePointer<CChar>?

    /// `sizeof (struct crypt_data)` of libxcrypt, part of its ABI.
    private static let stateBytes = 32_768

    /// A hash of the password with a salt of its own.
    package static func make(_ password: some Collection<UInt8>) throws(Failure) -> [UInt8] {
        // Sound: dlsym gives the function of this name, whose shape is crypt(3)'s of libxcrypt 4.
        let makeSalt = unsafeBitCast(try symbol("crypt_gensalt_rn"), to: MakeSalt.self)
        let random = randomBytes(32).map(CChar.init(bitPattern:))
        var setting = [CChar](repeating: 0, count: 192)
        guard makeSalt(prefix, 0, random, Int32(random.count), &setting, Int32(setting.count)) != nil else { throw .refused(errno) }
        let hash = try hash(password, as: setting.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)))
        guard !hash.isEmpty else { throw .refused(EINVAL) }
        return hash
    }

    /// Whether the password has that hash. What is no hash (`!`, `*`, empty) has no password, and costs as much as one.
    package static func verify(_ password: some Collection<UInt8>, _ hash: [UInt8]) throws(Failure) -> Bool {
        let made = try self.hash(password, as: hash)
        guard !made.isEmpty else {
            _ = try self.hash(password, as: decoy)
            return false
        }
        return made.isEqualInConstantTime(to: hash)
    }

    /// - Returns: empty when the setting is no hash, or the password holds a NUL, behind which crypt(3) would not look.
    package static func hash(_ password: some Collection<UInt8>, as setting: [UInt8]) throws(Failure) -> [UInt8] {
        let crypt = unsafeBitCast(try symbol("crypt_rn"), to: Crypt.self)
        guard !password.contains(0), !setting.contains(0) else { return [] }
        return withStrings([Array(password), setting]) { key, salt in
            // Zeros: libxcrypt asks for them; and what the password became there is wiped.
            let state = UnsafeMutableRawPointer.allocate(byteCount: stateBytes, alignment: 64)
            memset(state, 0, stateBytes)
            defer {
                explicit_bzero(state, stateBytes)
                state.deallocate()
            }
            guard let made = crypt(key, salt, state, Int32(stateBytes)) else { return [] }
            let bytes = Array(UnsafeRawBufferPointer(start: made, count: strlen(made)))
            // `*0` and its like say that it failed.
            return bytes.first == UInt8(ascii: "*") ? [] : bytes
        } ?? []
    }

    private static func symbol(_ name: String) throws(Failure) -> UnsafeMutableRawPointer {
        guard let library = dlopen("libcrypt.so.1", RTLD_NOW), let symbol = dlsym(library, name) else { throw .noLibrary }
        return symbol
    }

    private static func withStrings<Result>(_ strings: [[UInt8]], _ body: (UnsafePointer<CChar>, UnsafePointer<CChar>) -> Result) -> Result? {
        let strings = CStrings(strings)
        return withExtendedLifetime(strings) {
            guard let one = strings.pointers[0], let other = strings.pointers[1] else { return nil }
            return body(one, other)
        }
    }
}
