private import Glibc
private import Posix
package import RoleContext

package enum AccessRole {
    package static func run(_ context: RoleContext) -> Int32 {
        guard let loop = try? EventLoop(), (try? loop.onSignals([SIGTERM, SIGINT]) { _ in loop.stop() }) != nil else { return 1 }
        loop.run()
        return 0
    }
}
