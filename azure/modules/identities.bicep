// Who acts in Azure: one identity for each kind of work, so that each may do no more than its work needs.
param name string
param location string
param tags object

resource pageIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-page'
  location: location
  tags: tags
}

resource pipelineIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-pipeline'
  location: location
  tags: tags
}

resource migrationIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-migration'
  location: location
  tags: tags
}

resource machinesIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-machines'
  location: location
  tags: tags
}

output pageName string = pageIdentity.name
output pageClientId string = pageIdentity.properties.clientId
output pagePrincipalId string = pageIdentity.properties.principalId
output pipelineName string = pipelineIdentity.name
output pipelineClientId string = pipelineIdentity.properties.clientId
output pipelinePrincipalId string = pipelineIdentity.properties.principalId
output migrationName string = migrationIdentity.name
output migrationClientId string = migrationIdentity.properties.clientId
output migrationPrincipalId string = migrationIdentity.properties.principalId
output machinesName string = machinesIdentity.name
output machinesId string = machinesIdentity.id
output machinesClientId string = machinesIdentity.properties.clientId
output machinesPrincipalId string = machinesIdentity.properties.principalId
