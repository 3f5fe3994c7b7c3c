private import Glibc
internal import Crypto
internal import CryptoExtras
private import Posix
package import RoleContext
internal import X509

package enum KeysRole {
    package static func run(_ context: RoleContext) -> Int32 {
        guard let loop = try? EventLoop(), (try? loop.onSignals([SIGTERM, SIGINT]) { _ in loop.stop() }) != nil else { return 1 }
        loop.run()
        return 0
    }
}
