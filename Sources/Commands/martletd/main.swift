private import Glibc

exit(Martletd.run(CommandLine.arguments))
