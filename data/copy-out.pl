# SPDX-License-Identifier: MIT
# copy-out.pl SOCKET FOLDER PATH...: copies files and folders out of a guest's disk, which SOCKET serves by NBD, into FOLDER: the
# file FOLDER/N is the N-th path's content, or a tar archive of the folder. libguestfs mounts the disk's file systems in a virtual
# machine of its own, never this host's kernel. Run by src/image/files/appliance.cpp, as an unprivileged user; that file judges
# all that comes out. Prints a line for each thing that it finds, and nothing else:
#   system COUNT | unmounted HEX | N missing | N other | N folder | N file BYTES MODE MTIME | N link HEX
# Of a path that is missing or "other" nothing at all is copied.
use strict;
use warnings;
use Sys::Guestfs;

my ($socket, $folder, @paths) = @ARGV;
$| = 1;

my $guest = Sys::Guestfs->new();
$guest->set_network(0);
$guest->set_memsize(768);
$guest->add_drive('', readonly => 1, format => 'raw', protocol => 'nbd', server => ["unix:$socket"]);
$guest->launch();

my @systems = $guest->inspect_os();
print 'system ', scalar @systems, "\n";
exit 0 if @systems != 1;
my %mounts = $guest->inspect_get_mountpoints($systems[0]);
for my $point (sort { length $a <=> length $b } keys %mounts) {
    eval { $guest->mount_ro($mounts{$point}, $point); 1 } or print 'unmounted ', unpack('H*', $point), "\n";
}

my $whole = 1;
my @kinds = map { $guest->is_symlink($_) ? 'link' : $guest->is_dir($_) ? 'folder' : $guest->is_file($_) ? 'file'
                : $guest->exists($_) ? 'other' : 'missing' } @paths;
for my $i (0 .. $#paths) {
    next if $kinds[$i] ne 'missing' && $kinds[$i] ne 'other';
    print "$i $kinds[$i]\n";
    $whole = 0;
}
exit 0 unless $whole;
for my $i (0 .. $#paths) {
    my ($path, $kind) = ($paths[$i], $kinds[$i]);
    if ($kind eq 'link') {
        print "$i link ", unpack('H*', $guest->readlink($path)), "\n";
    } elsif ($kind eq 'folder') {
        $guest->tar_out($path, "$folder/$i", numericowner => 1);
        print "$i folder\n";
    } else {
        my %about = $guest->lstatns($path);
        $guest->download($path, "$folder/$i");
        print join(' ', $i, 'file', -s "$folder/$i", $about{st_mode}, $about{st_mtime_sec}), "\n";
    }
}
$guest->close();
