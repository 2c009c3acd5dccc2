// compile.cjs SOURCE: prints {"NAME": "bytecode in hex"} of each contract in it. NODE_PATH leads to solc.
const fs = require("fs");
const solc = require("solc");

const content = fs.readFileSync(process.argv[2], "utf8");
const answer = JSON.parse(solc.compile(JSON.stringify({
    language: "Solidity",
    sources: { source: { content } },
    settings: { evmVersion: "paris", outputSelection: { "*": { "*": ["evm.bytecode.object"] } } },
})));
for (const error of answer.errors ?? []) console.error(error.formattedMessage);
const contracts = Object.entries(answer.contracts?.source ?? {});
if (contracts.length === 0) process.exit(1);
console.log(JSON.stringify(Object.fromEntries(contracts.map(([name, made]) => [name, made.evm.bytecode.object]))));
