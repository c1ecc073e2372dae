// Node-RED for `bench/hooks.sh`: no editor, this machine alone, and Node's crypto for the flow's function.
module.exports = {
  flowFile: "flows.json",
  httpAdminRoot: false,
  uiPort: Number(process.env.PORT),
  uiHost: "127.0.0.1",
  functionGlobalContext: { crypto: require("crypto") },
  credentialSecret: false,
  logging: { console: { level: "warn" } },
};
