// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;

/// As much of ERC-721 as minting touches, and ways to misbehave.
contract AccessNft {
    event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);
    error Refused(uint256 code);

    uint256 public totalSupply;
    uint256 public firstId;
    mapping(uint256 => address) public ownerOf;
    mapping(uint256 => bytes) public userEncrypted;
    mapping(uint256 => string) public publicSecret;
    address public minter;
    uint256 public mood; // 0 well, 1 no event, 2 a reason, 3 an error of its own, 4 a panic, 5 nothing said, 6 another's token

    constructor(address given) { minter = given; }
    function behave(uint256 given) external { mood = given; }
    function beginAt(uint256 given) external { firstId = given; }

    function give(address to, bytes memory encrypted, string memory secret) internal {
        require(msg.sender == minter, "only the minter mints");
        require(mood != 2, "not today");
        if (mood == 3) revert Refused(7);
        if (mood == 4) { uint256 zero = 0; mood = 1 / zero; }
        if (mood == 5) revert();
        uint256 id = firstId + totalSupply++;
        ownerOf[id] = mood == 6 ? address(1) : to;
        userEncrypted[id] = encrypted;
        publicSecret[id] = secret;
        if (mood != 1 && mood != 6) emit Transfer(address(0), to, id);
    }
}

contract Current is AccessNft {
    constructor(address given) AccessNft(given) {}
    function mint(address to, bytes calldata encrypted) external { give(to, encrypted, ""); }
}

contract Legacy is AccessNft {
    constructor(address given) AccessNft(given) {}
    function mint(address to, bytes memory encrypted, string memory secret, string memory message, string memory image,
                  string memory words, uint256 kind) external {
        require(keccak256(bytes(message)) == keccak256("IYKYK"), "another message than the older provisioner's");
        require(bytes(image).length == 0 && bytes(words).length == 0 && kind == 0, "other arguments than its");
        give(to, encrypted, secret);
    }
}
